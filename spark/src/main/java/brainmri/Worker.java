package brainmri;

import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.spark.TaskContext;

/**
 * brainmri's worker as a subprocess (src/engine/frame.h tells what goes over its pipes). Some threads read files ahead, one
 * writes them to the worker, the calling one takes its answers, and one watches the time. Whatever a worker does, it ends with
 * this object.
 */
final class Worker implements AutoCloseable {
	private static final byte[] WORK_MAGIC = "BMWORK01".getBytes(StandardCharsets.US_ASCII);
	static final byte[] PART_MAGIC = "BMPART02".getBytes(StandardCharsets.US_ASCII);
	private static final int TAG_REQUEST = 0x51524d42, TAG_ANSWER = 0x4e414d42, TAG_END = 0x4e454d42;
	private static final int FILE_LIMIT = 64 << 20, NAME_LIMIT = 4096, REASON_LIMIT = 1024, AHEAD_BYTES = 64 << 20,
		AHEAD_FILES = 32, SAID_LIMIT = 4096, GRACE_SECONDS = 10, WATCH_MS = 100;

	/** The worker is gone, or was ended. */
	static final class Ended extends IOException {
		private static final long serialVersionUID = 1;
		final boolean imageIsToBlame;

		Ended(String message, boolean imageIsToBlame) {
			super(message);
			this.imageIsToBlame = imageIsToBlame;
		}
	}

	/** What came of reading a file. */
	private static final class Content {
		byte[] data;
		String[] reason = new String[1]; /* why there is no data */
		int permits;
	}

	final Preprocess.Settings settings;
	private final Configuration configuration;
	private final List<Preprocess.Item> items;
	private final String skip;
	private final Process process;
	private final ExecutorService readers;
	private final BlockingQueue<Future<Content>> ahead = new ArrayBlockingQueue<>(AHEAD_FILES);
	private final Semaphore room = new Semaphore(AHEAD_BYTES);
	private final Thread lister, writer, listener, watchdog;
	private final TaskContext context = TaskContext.get();
	private final StringBuilder said = new StringBuilder();
	private volatile IOException writeFailure;
	private volatile int sent, answered;
	private volatile long busySince;
	private volatile String killed;
	private volatile boolean closed;
	private volatile FSDataInputStream pack; /* of all items, or of none */
	long images, bytes;

	Worker(String program, Preprocess.Settings settings, Configuration configuration, List<Preprocess.Item> items,
		String skip) throws IOException {
		this.settings = settings;
		this.configuration = configuration;
		this.items = items;
		this.skip = skip;
		process = new ProcessBuilder(program, "worker").start();
		readers = Executors.newFixedThreadPool(Math.max(1, settings.readers), Worker::daemon);
		lister = daemon(this::list);
		writer = daemon(this::write);
		listener = daemon(this::listen);
		watchdog = daemon(this::watch);
	}

	private static Thread daemon(Runnable work) {
		Thread thread = new Thread(work, "brainmri-worker");
		thread.setDaemon(true);
		return thread;
	}

	int answered() {
		return answered;
	}

	/** Copies the answers to `out`, without the beginning and the end of a part. */
	void run(OutputStream out) throws IOException, InterruptedException {
		busySince = System.nanoTime();
		for (Thread thread : new Thread[] {lister, writer, listener, watchdog})
			thread.start();
		DataInputStream in = new DataInputStream(new BufferedInputStream(process.getInputStream(), 1 << 18));
		ByteBuffer head = ByteBuffer.allocate(48).order(ByteOrder.LITTLE_ENDIAN);
		byte[] body = new byte[Math.max(settings.side * settings.side, REASON_LIMIT)];
		try {
			in.readFully(head.array(), 0, 16);
			if (!Arrays.equals(Arrays.copyOf(head.array(), 8), PART_MAGIC) || head.getInt(8) != settings.side
				|| head.getInt(12) != settings.preprocessing)
				throw new IOException("another version of brainmri runs as the worker on " + Task.host());
			while (true) {
				in.readFully(head.array(), 0, 16);
				if (head.getInt(0) == TAG_END)
					break;
				in.readFully(head.array(), 16, 32);
				copy(in, head, body, out);
			}
		} catch (EOFException e) {
			throw ended();
		}
		if (answered != items.size() || !process.waitFor(GRACE_SECONDS, TimeUnit.SECONDS) || process.exitValue() != 0)
			throw ended();
	}

	private void copy(DataInputStream in, ByteBuffer head, byte[] body, OutputStream out) throws IOException {
		int status = head.getInt(4), reason = head.getInt(16), pixels = head.getInt(20);
		if (head.getInt(0) != TAG_ANSWER || answered >= items.size() || head.getLong(8) != items.get(answered).index
			|| reason < 0 || reason > REASON_LIMIT || pixels != (status == 0 ? settings.side * settings.side : 0))
			throw new IOException("the worker's answer to '" + name() + "' makes no sense");
		in.readFully(body, 0, reason + pixels); /* one of them is 0 */
		out.write(head.array());
		out.write(body, 0, reason + pixels);
		images += status == 0 ? 1 : 0;
		bytes += head.getLong(24);
		busySince = System.nanoTime();
		answered++;
	}

	private String name() {
		return answered < items.size() ? items.get(answered).path : "the end";
	}

	/** What is to be said of a worker that went away in the middle. */
	private IOException ended() throws InterruptedException {
		if (killed == null && writeFailure != null && !(writeFailure instanceof Broken))
			return writeFailure; /* a file could not be read: we ended the worker ourselves */
		boolean gone = process.waitFor(GRACE_SECONDS, TimeUnit.SECONDS);
		int code = gone ? process.exitValue() : -1;
		listener.join(1000);
		String words;
		synchronized (said) {
			words = said.toString().trim();
		}
		if (killed != null)
			return new Ended(killed, true);
		if (code > 128)
			/* Signals of an image: SEGV, BUS, FPE, ILL, ABRT, ALRM; KILL comes from outside. */
			return new Ended("brainmri worker ended by signal " + (code - 128) + " on '" + name() + "'",
				List.of(4, 6, 7, 8, 11, 14).contains(code - 128));
		return new Ended("brainmri worker ended with code " + code + " on '" + name() + "'"
			+ (words.isEmpty() ? "" : ": " + words), false);
	}

	/** The worker's end of the pipe is gone: the reading side finds out why. */
	private static final class Broken extends IOException {
		private static final long serialVersionUID = 1;
	}

	private void list() {
		try {
			FileSystem fs = Task.raw(FileSystem.get(new Path(settings.data).toUri(), configuration));
			Path root = new Path(settings.data);
			if (!items.isEmpty() && items.get(0).offset >= 0)
				pack = fs.open(root);
			for (int i = 0; i < items.size() && !closed; i++) {
				Preprocess.Item item = items.get(i);
				int permits = (int)Math.max(1, Math.min(item.size, AHEAD_BYTES));
				boolean first = i == 0 && skip != null;
				room.acquire(permits);
				ahead.put(readers.submit(() -> {
					Content content = new Content();
					content.permits = permits;
					content.reason[0] = first ? skip : null;
					if (!first)
						content.data = Task.read(fs, root, pack, item, FILE_LIMIT, content.reason);
					return content;
				}));
			}
		} catch (InterruptedException e) {
			/* closed */
		} catch (IOException | RuntimeException e) {
			fail(e instanceof IOException ? (IOException)e : new IOException(e));
		}
	}

	private void fail(IOException e) {
		if (writeFailure == null)
			writeFailure = e;
		process.destroyForcibly();
	}

	private void write() {
		try (OutputStream to = process.getOutputStream()) {
			pass(() -> to.write(ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN).put(WORK_MAGIC)
				.putInt(settings.side).putInt(settings.seconds).array()));
			for (Preprocess.Item item : items) {
				Content content = ahead.take().get();
				byte[] name = cut(item.path, NAME_LIMIT),
					body = content.data != null ? content.data : cut(content.reason[0], REASON_LIMIT);
				byte[] head = ByteBuffer.allocate(40).order(ByteOrder.LITTLE_ENDIAN).putInt(TAG_REQUEST)
					.putInt(content.data != null ? 0 : 1).putLong(item.index).putInt(name.length).putInt(body.length)
					.putLong(item.hashLow).putLong(item.hashHigh).array();
				if (sent == answered)
					busySince = System.nanoTime();
				sent++;
				pass(() -> {
					to.write(head);
					to.write(name);
					to.write(body);
					to.flush();
				});
				room.release(content.permits);
			}
		} catch (Broken e) {
			writeFailure = e;
		} catch (InterruptedException e) {
			/* closed */
		} catch (ExecutionException e) {
			Throwable cause = e.getCause();
			fail(cause instanceof IOException ? (IOException)cause : new IOException(cause));
		} catch (IOException | RuntimeException e) {
			fail(new IOException(e));
		}
	}

	private interface Writing {
		void run() throws IOException;
	}

	private static void pass(Writing writing) throws Broken {
		try {
			writing.run();
		} catch (IOException e) {
			throw new Broken();
		}
	}

	private static byte[] cut(String text, int limit) {
		byte[] all = text.getBytes(StandardCharsets.UTF_8);
		return all.length <= limit ? all : Arrays.copyOf(all, limit);
	}

	/** What the worker says on its standard error, for the message when it fails. */
	private void listen() {
		byte[] piece = new byte[1024];
		try (InputStream from = process.getErrorStream()) {
			int n;
			while ((n = from.read(piece)) > 0) {
				synchronized (said) {
					if (said.length() < SAID_LIMIT)
						said.append(new String(piece, 0, n, StandardCharsets.UTF_8));
				}
			}
		} catch (IOException e) {
			/* the process is gone */
		}
	}

	private void watch() {
		try {
			while (!closed) {
				Thread.sleep(WATCH_MS);
				if (context != null && context.isInterrupted()) {
					killed = "the task was cancelled";
					process.destroyForcibly();
				}
				long waited = System.nanoTime() - busySince;
				if (settings.seconds > 0 && sent > answered && killed == null
					&& waited > TimeUnit.SECONDS.toNanos(settings.seconds)) {
					killed = "brainmri worker gave no answer to '" + name() + "' in " + settings.seconds
						+ " s and was ended";
					process.destroyForcibly();
				}
			}
		} catch (InterruptedException e) {
			/* closed */
		}
	}

	@Override
	public void close() {
		closed = true;
		process.destroyForcibly();
		readers.shutdownNow();
		for (Thread thread : new Thread[] {lister, writer, watchdog})
			thread.interrupt();
		try {
			process.waitFor(GRACE_SECONDS, TimeUnit.SECONDS);
			if (pack != null)
				pack.close();
		} catch (InterruptedException e) {
			Thread.currentThread().interrupt();
		} catch (IOException e) {
			/* it was only read from */
		}
	}
}
