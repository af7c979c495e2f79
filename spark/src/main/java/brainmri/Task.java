package brainmri;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.LocalFileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.spark.SparkEnv;
import org.apache.spark.SparkFiles;
import org.apache.spark.TaskContext;

/**
 * One task: the images of one partition through one worker into one part file. The file gets its name by a rename when it is
 * whole, so that a task which is tried again or runs twice never doubles an image.
 */
final class Task {
	private static final int TAG_END = 0x4e454d42 /* "BMEN" */, ZIP_HEADER = 0x04034b50;

	private final Preprocess.Settings settings;
	private final List<Preprocess.Item> items;
	private final TaskContext context = TaskContext.get();
	private final Configuration configuration = configuration();
	private long images, rejected, bytes;

	Task(Preprocess.Settings settings, List<Preprocess.Item> items) {
		this.settings = settings;
		this.items = items;
	}

	/** Hadoop's, with what the user gave Spark for it. */
	private static Configuration configuration() {
		Configuration configuration = new Configuration();
		for (scala.Tuple2<String, String> entry : SparkEnv.get().conf().getAll()) {
			if (entry._1().startsWith("spark.hadoop."))
				configuration.set(entry._1().substring("spark.hadoop.".length()), entry._2());
		}
		return configuration;
	}

	/** Without the checksum files that Hadoop puts beside local ones. */
	static FileSystem raw(FileSystem fs) {
		return fs instanceof LocalFileSystem ? ((LocalFileSystem)fs).getRawFileSystem() : fs;
	}

	String run() throws Exception {
		long begun = System.nanoTime();
		if (settings.measure > 0) {
			work(OutputStream.nullOutputStream());
			return row(begun);
		}
		Path job = new Path(settings.job);
		FileSystem fs = raw(FileSystem.get(job.toUri(), configuration));
		String name = String.format("part-%05d", context.partitionId());
		Path whole = new Path(job, name), temporary = new Path(job, String.format("_attempt/%s.%d.%d", name,
			context.stageAttemptNumber(), context.taskAttemptId()));
		boolean kept = false;
		try {
			try (OutputStream out = fs.create(temporary, true, 1 << 18)) {
				work(out);
			}
			kept = commit(fs, temporary, whole);
		} finally {
			if (!kept)
				fs.delete(temporary, false);
		}
		return row(begun);
	}

	/** The first attempt that is done keeps its file. A local rename replaces the earlier one, with the same content. */
	private static boolean commit(FileSystem fs, Path temporary, Path whole) throws IOException {
		try {
			if (!fs.exists(whole) && fs.rename(temporary, whole))
				return true;
		} catch (IOException e) {
			if (!fs.exists(whole))
				throw e;
		}
		if (!fs.exists(whole))
			throw new IOException("cannot rename " + temporary + " to " + whole);
		return false;
	}

	static String host() {
		return SparkEnv.get().blockManager().blockManagerId().host();
	}

	private String row(long begun) {
		return String.format(java.util.Locale.ROOT,
			"{\"partition\": %d, \"attempt\": %d, \"executor\": %s, \"host\": %s, \"images\": %d, \"rejected\": %d, "
				+ "\"bytes\": %d, \"seconds\": %.3f}",
			context.partitionId(), context.attemptNumber(), Preprocess.quote(SparkEnv.get().executorId()),
			Preprocess.quote(host()), images, rejected, bytes,
			(System.nanoTime() - begun) / 1e9);
	}

	private void work(OutputStream out) throws Exception {
		out.write(ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN).put(Worker.PART_MAGIC).putInt(settings.side)
			.putInt(settings.preprocessing).array());
		boolean last = context.attemptNumber() >= settings.attempts - 1;
		String skip = null; /* why the first of the rest is left out */
		int done = 0;
		do {
			try (Worker worker = new Worker(SparkFiles.get(settings.worker), settings, configuration,
				items.subList(done, items.size()), skip)) {
				try {
					worker.run(out);
					done = items.size();
				} catch (Worker.Ended e) {
					/* What ends the worker in every attempt costs its image, not the job. */
					if (!last || !e.imageIsToBlame || done + worker.answered() >= items.size()
						|| (skip != null && worker.answered() == 0))
						throw e;
					done += worker.answered();
					skip = e.getMessage();
				} finally {
					images += worker.images;
					rejected += worker.answered() - worker.images;
					bytes += worker.bytes;
				}
			}
		} while (done < items.size());
		out.write(ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN).putInt(TAG_END).putInt(0).putLong(images + rejected)
			.array());
	}

	/** The bytes of one file; null and the reason: there is no such file any more. */
	static byte[] read(FileSystem fs, Path root, FSDataInputStream pack, Preprocess.Item item, int limit, String[] reason)
		throws IOException {
		if (item.size > limit) {
			reason[0] = "the file has " + item.size + " bytes, more than " + limit;
			return null;
		}
		if (item.offset >= 0)
			return readPacked(pack, item);
		try (FSDataInputStream in = fs.open(new Path(root.toString() + "/" + item.path))) {
			byte[] data = new byte[(int)item.size];
			int got = 0, n;
			while (got < data.length && (n = in.read(data, got, data.length - got)) > 0)
				got += n;
			if (got < data.length || in.read() >= 0) {
				reason[0] = "the file changed while the program ran";
				return null;
			}
			return data;
		} catch (FileNotFoundException e) {
			reason[0] = "the file is not there any more";
			return null;
		}
	}

	/** Uncompressed in a zip file: behind a header of 30 bytes, a name and what other programs add. One request where that is little. */
	private static byte[] readPacked(FSDataInputStream pack, Preprocess.Item item) throws IOException {
		int size = (int)item.size, header = 30 + item.path.getBytes(StandardCharsets.UTF_8).length;
		byte[] bytes = new byte[header + size];
		pack.readFully(item.offset, bytes);
		ByteBuffer head = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
		if (head.getInt(0) != ZIP_HEADER)
			throw new IOException("the pack changed while the program ran");
		int begin = 30 + (head.getShort(26) & 0xffff) + (head.getShort(28) & 0xffff);
		byte[] data = new byte[size];
		if (begin <= header)
			System.arraycopy(bytes, begin, data, 0, size);
		else
			pack.readFully(item.offset + begin, data);
		return data;
	}
}
