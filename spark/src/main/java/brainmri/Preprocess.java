package brainmri;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.Serializable;
import java.io.StringWriter;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.api.java.function.FlatMapFunction;

/**
 * The Spark job of brainmri: hands a list of images out to the executors, where each task runs brainmri's worker, and tells
 * what was done. It is started by the program, which leaves JOB/images and takes JOB/part-*, JOB/started.json and
 * JOB/result.json from there.
 */
public final class Preprocess {
	private static final byte[] LIST_MAGIC = "BMLIST01".getBytes(StandardCharsets.US_ASCII);
	private static final long LIST_LIMIT = 1L << 30;

	private Preprocess() {
	}

	/** What every task is told. */
	static final class Settings implements Serializable {
		private static final long serialVersionUID = 1;
		String job, data, worker;
		int side = 224, seconds = 60, attempts = 4, partitions, readers = 4, measure;
		Integer preprocessing; /* the number that the worker must have in its part's head */
		boolean watch;
	}

	/** One image of the list. */
	static final class Item {
		long index, offset /* of its header in a zip pack; -1: a file of its own */, size, hashLow, hashHigh;
		String path;
	}

	private static Settings parse(String[] args) {
		Settings s = new Settings();
		for (int i = 0; i + 1 < args.length; i += 2) {
			String value = args[i + 1];
			switch (args[i]) {
			case "--job": s.job = value; break;
			case "--data": s.data = value; break;
			case "--worker": s.worker = value; break;
			case "--side": s.side = Integer.parseInt(value); break;
			case "--seconds": s.seconds = Integer.parseInt(value); break;
			case "--attempts": s.attempts = Integer.parseInt(value); break;
			case "--partitions": s.partitions = Integer.parseInt(value); break;
			case "--readers": s.readers = Integer.parseInt(value); break;
			case "--measure": s.measure = Integer.parseInt(value); break;
			case "--preprocessing": s.preprocessing = Integer.parseUnsignedInt(value); break;
			case "--watch": s.watch = value.equals("yes"); break;
			default: throw new IllegalArgumentException("unknown argument " + args[i]);
			}
		}
		if (s.job == null || s.data == null || s.worker == null || s.preprocessing == null)
			throw new IllegalArgumentException("--job, --data, --worker and --preprocessing are needed; the brainmri of this "
				+ "version gives them");
		return s;
	}

	/** The list: magic, u32 count, then u64 index, offset, size, hash low, hash high, u32 length, path. */
	static List<Item> decode(byte[] bytes) throws IOException {
		ByteBuffer in = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
		byte[] magic = new byte[LIST_MAGIC.length];
		if (in.remaining() < magic.length + 4)
			throw new IOException("the list of images is cut off");
		in.get(magic);
		if (!java.util.Arrays.equals(magic, LIST_MAGIC))
			throw new IOException("the list of images is not one of this version");
		int count = in.getInt();
		List<Item> items = new ArrayList<>();
		for (int i = 0; i < count; i++) {
			Item item = new Item();
			item.index = in.getLong();
			item.offset = in.getLong();
			item.size = in.getLong();
			item.hashLow = in.getLong();
			item.hashHigh = in.getLong();
			byte[] path = new byte[in.getInt()];
			in.get(path);
			item.path = new String(path, StandardCharsets.UTF_8);
			items.add(item);
		}
		return items;
	}

	private static byte[] encode(List<Item> items) throws IOException {
		ByteArrayOutputStream out = new ByteArrayOutputStream();
		out.write(LIST_MAGIC);
		ByteBuffer head = ByteBuffer.allocate(44).order(ByteOrder.LITTLE_ENDIAN);
		head.putInt(items.size());
		out.write(head.array(), 0, 4);
		for (Item item : items) {
			byte[] path = item.path.getBytes(StandardCharsets.UTF_8);
			head.clear();
			head.putLong(item.index).putLong(item.offset).putLong(item.size).putLong(item.hashLow)
				.putLong(item.hashHigh).putInt(path.length);
			out.write(head.array(), 0, 44);
			out.write(path);
		}
		return out.toByteArray();
	}

	/** Dealt out like cards: parts of equal counts, in which large and small files mix. */
	private static List<byte[]> deal(List<Item> items, int partitions) throws IOException {
		List<List<Item>> hands = new ArrayList<>();
		for (int i = 0; i < partitions; i++)
			hands.add(new ArrayList<>());
		for (int i = 0; i < items.size(); i++)
			hands.get(i % partitions).add(items.get(i));
		List<byte[]> encoded = new ArrayList<>();
		for (List<Item> hand : hands)
			encoded.add(encode(hand));
		return encoded;
	}

	private static byte[] read(FileSystem fs, Path path) throws IOException {
		long size = fs.getFileStatus(path).getLen();
		if (size > LIST_LIMIT)
			throw new IOException("the list of images has " + size + " bytes");
		byte[] bytes = new byte[(int)size];
		try (FSDataInputStream in = fs.open(path)) {
			in.readFully(0, bytes);
		}
		return bytes;
	}

	/** Seen whole or not at all. */
	private static void write(FileSystem fs, Path path, String text) throws IOException {
		Path temporary = new Path(path.getParent(), "_" + path.getName());
		try (java.io.OutputStream out = fs.create(temporary, true)) {
			out.write(text.getBytes(StandardCharsets.UTF_8));
		}
		if (!fs.rename(temporary, path))
			throw new IOException("cannot rename " + temporary + " to " + path);
	}

	static String quote(String text) {
		StringBuilder out = new StringBuilder("\"");
		for (char c : text.toCharArray()) {
			if (c == '"' || c == '\\')
				out.append('\\').append(c);
			else if (c < 0x20 || Character.isSurrogate(c))
				out.append(String.format("\\u%04x", (int)c));
			else
				out.append(c);
		}
		return out.append('"').toString();
	}

	/**
	 * The program holds the other end of our standard input: when it is gone nobody waits for the job. There is no context
	 * yet while the job waits in YARN's queue.
	 */
	private static void watch(AtomicReference<JavaSparkContext> context, AtomicBoolean done) {
		Thread thread = new Thread(() -> {
			try {
				while (System.in.read() >= 0) {
				}
			} catch (IOException e) {
				/* as good as its end */
			}
			if (!done.get()) {
				JavaSparkContext begun = context.get();
				if (begun != null) {
					begun.sc().cancelAllJobs();
					begun.stop();
				}
				Runtime.getRuntime().halt(143);
			}
		}, "brainmri-watch");
		thread.setDaemon(true);
		thread.start();
	}

	private static List<String> run(JavaSparkContext context, Settings settings, List<Item> items, int partitions)
		throws IOException {
		context.setJobGroup("brainmri", "brainmri: " + items.size() + " images", true);
		FlatMapFunction<Iterator<byte[]>, String> task = slices -> {
			List<String> rows = new ArrayList<>();
			while (slices.hasNext())
				rows.add(new Task(settings, decode(slices.next())).run());
			return rows.iterator();
		};
		return context.parallelize(deal(items, partitions), partitions).mapPartitions(task).collect();
	}

	/** Each count, several times, thrown away: seconds. */
	private static String measure(JavaSparkContext context, Settings settings, List<Item> items, int partitions)
		throws IOException {
		StringBuilder out = new StringBuilder("[");
		int[] counts = {items.size(), items.size() / 2};
		run(context, settings, items, partitions); /* code compiled, files in the page cache */
		for (int count : counts) {
			for (int i = 0; i < settings.measure && count > 0; i++) {
				long begun = System.nanoTime();
				run(context, settings, items.subList(0, count), Math.min(partitions, count));
				out.append(out.length() > 1 ? ", " : "").append("[").append(count).append(", ")
					.append((System.nanoTime() - begun) / 1e9).append("]");
			}
		}
		return out.append("]").toString();
	}

	/** A cluster's executors come one by one: what is measured and how many parts are made depends on those that will be there. */
	private static void awaitExecutors(JavaSparkContext context) throws InterruptedException {
		int seen = 0, quiet = 0;
		if (context.isLocal())
			return;
		while (seen == 0 || quiet < 10) {
			Thread.sleep(50);
			int now = context.sc().statusTracker().getExecutorInfos().length - 1; /* without the driver */
			quiet = now == seen ? quiet + 1 : 0;
			seen = now;
		}
	}

	private static String work(JavaSparkContext context, Settings settings, FileSystem fs, Path job)
		throws IOException, InterruptedException {
		List<Item> items = decode(read(fs, new Path(job, "images")));
		awaitExecutors(context);
		int partitions = settings.partitions > 0 ? settings.partitions : Math.max(4, 2 * context.defaultParallelism());
		partitions = Math.max(1, Math.min(partitions, items.size()));
		String head = "{\"spark\": " + quote(context.version()) + ", \"partitions\": " + partitions;
		if (settings.measure > 0)
			return head + ", \"measured\": " + measure(context, settings, items, partitions) + "}\n";
		long begun = System.nanoTime();
		List<String> rows = run(context, settings, items, partitions);
		return head + ", \"seconds\": " + (System.nanoTime() - begun) / 1e9 + ", \"tasks\": [" + String.join(", ", rows) + "]}\n";
	}

	public static void main(String[] args) throws Exception {
		Settings settings = parse(args);
		AtomicBoolean done = new AtomicBoolean();
		Path job = new Path(settings.job);
		int code = 0;
		AtomicReference<JavaSparkContext> begun = new AtomicReference<>();
		if (settings.watch)
			watch(begun, done);
		try (JavaSparkContext context = new JavaSparkContext(new SparkConf())) {
			begun.set(context);
			Configuration configuration = context.hadoopConfiguration();
			FileSystem fs = Task.raw(FileSystem.get(job.toUri(), configuration));
			try {
				String ui = context.sc().uiWebUrl().isDefined() ? context.sc().uiWebUrl().get() : "";
				write(fs, new Path(job, "started.json"), "{\"application\": " + quote(context.sc().applicationId())
					+ ", \"ui\": " + quote(ui) + ", \"spark\": " + quote(context.version()) + "}\n");
				write(fs, new Path(job, "result.json"), work(context, settings, fs, job));
			} catch (Exception e) {
				StringWriter trace = new StringWriter();
				e.printStackTrace(new PrintWriter(trace));
				write(fs, new Path(job, "result.json"), "{\"error\": " + quote(trace.toString()) + "}\n");
				code = 1;
			}
			done.set(true);
		}
		if (code != 0)
			System.exit(code);
	}
}
