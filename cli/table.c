/* The table itself. */
#include "cli/commands.h"

enum {
	RUN = 1u << 0,
	ENVIRONMENT = 1u << 1,
	PHANTOM = 1u << 2,
	EXPLORE = 1u << 3,
	CLASSES = 1u << 4,
	PREPROCESS = 1u << 5,
	MODEL = 1u << 6,
	TRAIN = 1u << 7,
	EVALUATE = 1u << 8,
	PREDICT = 1u << 9,
	BENCH = 1u << 10,
	REPORT = 1u << 11,
	WORKER = 1u << 12,
	EXPORT = 1u << 13,
	DATA = 1u << 14,
	AUDIT = 1u << 15,
	CROSSVAL = 1u << 16,
	SEARCH = 1u << 17,
	TRIES = CROSSVAL | SEARCH, /* runs within a run: they take what it takes */
	EVERY = (1u << 18) - 1,
	SPARK = RUN | ENVIRONMENT | EXPLORE | PREPROCESS | BENCH,
	KEEPS = RUN | ENVIRONMENT | EXPLORE | CLASSES | BENCH | AUDIT | CROSSVAL | SEARCH
};

/* In the order of the bits above. */
const cli_command cli_commands[] = {
	{"run", "[DATA] --out RUN", "all ten phases: from a folder of images to a trained, evaluated model",
	 "DATA is a folder with a folder of JPEG or PNG images per class, here or on HDFS (hdfs://HOST:PORT/path), or "
	 "a pack "
	 "of one (see 'brainmri data --help'). RUN is made and holds the models, figures, "
	 "metrics, "
	 "report.html and the config.json that repeats the run.",
	 "brainmri run brain_Tumor_Types --out runs/first --plan scratch --time-budget 60m\n"
	 "brainmri run --out runs/first --resume\n"
	 "brainmri run --config runs/first/config.json --out runs/again",
	 0, 1, cli_run},
	{"environment", "[DATA] [--out RUN]", "phases 1 and 2: versions, processor, memory, where the work runs",
	 "With DATA on HDFS the connection to it is tested.",
	 "brainmri environment --json\nbrainmri environment hdfs://localhost:9000/user/me", 0, 1, cli_environment},
	{"phantom", "OUT", "write a synthetic data set: brain-like slices of four classes",
	 "Drawn, not anatomy: for trying the program without data, and for its tests. The same seed gives the same "
	 "bytes.",
	 "brainmri phantom data/phantom --count 250 --size 256 --seed 7", 1, 1, cli_phantom},
	{"explore", "DATA [--out RUN] | RUN", "phases 3 and 4: list the data, show samples, sizes and formats",
	 "With --out the listing and the figures are kept in RUN, for the commands below to go on from; without, only "
	 "shown.",
	 "brainmri explore brain_Tumor_Types --out runs/first\nbrainmri explore runs/first", 1, 1, cli_explore},
	{"classes", "RUN | DATA [--out RUN]", "phase 5: class balance and class weights", "",
	 "brainmri classes runs/first", 1, 1, cli_classes},
	{"preprocess", "RUN", "phase 6: decode, resize and pack every image; find near-copies; split",
	 "A pack whose content hash still holds is used again.", "brainmri preprocess runs/first --threads 'local[2]'",
	 1, 1, cli_preprocess},
	{"model", "RUN", "phase 7: the network and its parameters", "", "brainmri model runs/first --summary", 1, 1,
	 cli_model},
	{"train", "RUN", "phase 8: train by the plan", "Ctrl-C stops cleanly; --resume goes on to the same result.",
	 "brainmri train runs/first --plan scratch --epochs 4,3,3\nbrainmri train runs/first --resume", 1, 1,
	 cli_train},
	{"evaluate", "RUN", "phase 9: the best model on the test images", "", "brainmri evaluate runs/first", 1, 1,
	 cli_evaluate},
	{"predict", "[RUN|MODEL] IMAGE...", "classify images",
	 "When the first operand is a run folder (its best model is taken) or a model file that brainmri wrote "
	 "(.keras, "
	 ".safetensors), that model answers; otherwise all operands are images and the model that ships with the "
	 "program "
	 "answers. When an image cannot be read the others are still classified and the exit code is 1. An image that "
	 "is "
	 "unlike those that the model was trained on (a photo, a blank page) is refused, as a model knows its classes "
	 "only and would give it one of them.",
	 "brainmri predict scan.jpg\nbrainmri predict runs/first scan.jpg --abstain\n"
	 "brainmri predict runs/first/best_model_stage2.keras *.png --json\nbrainmri predict --card",
	 0, -1, cli_predict},
	{"bench", "RUN | DATA [--out RUN]", "phase 10: sequential against parallel preprocessing, with a projection",
	 "", "brainmri bench runs/first\nbrainmri bench DATA --sample 0 --master 'local[*]'", 1, 1, cli_bench},
	{"report", "RUN...",
	 "phase 10: the list of artifacts, the summary and report.html, made anew; of several runs, a comparison",
	 "Several runs are put side by side: results, settings that differ, and whether what one gets right and the "
	 "other does not is "
	 "more than chance.",
	 "brainmri report runs/first\nbrainmri report runs/first runs/second --out comparison.html", 1, -1, cli_report},
	{"worker", "", "what Spark's tasks start: preprocesses what comes on standard input", "Not for use by hand.",
	 "brainmri worker <requests >part", 0, 0, cli_worker},
	{"export", "RUN|MODEL --to FORMAT --out FILE", "write a trained model for other programs",
	 "The first operand is a run folder (its best model is taken) or a model file. In a run folder the exported "
	 "file is "
	 "run on the validation images, and is only kept when it answers as the model does: by onnxruntime, of the "
	 "Python that BRAINMRI_PYTHON names or python3, or by brainmri's own reader.",
	 "brainmri export runs/first --to onnx --out first.onnx\n"
	 "brainmri export runs/first/best_model_stage1.keras --to safetensors --out first.safetensors",
	 1, 1, cli_export},
	{"data", "put|verify FOLDER URL | ls URL | get URL FOLDER | pack FOLDER URL.zip",
	 "a data set into HDFS and back, compared, or packed into one file",
	 "put sends what is missing or differs, several files at once, each under a hidden name until its checksum is "
	 "compared; stopped or broken off, the same command goes on. pack writes one zip file with the images "
	 "uncompressed, "
	 "which is read like a folder, by far faster than thousands of small files. URL: hdfs://HOST:PORT/path, "
	 "hdfs://NAMESERVICE/path, hdfs:///path (fs.defaultFS), webhdfs:// or swebhdfs://; Hadoop's configuration is "
	 "read "
	 "under HADOOP_CONF_DIR.",
	 "brainmri data put brain_Tumor_Types hdfs://localhost:9000/user/me/brain_Tumor_Types\n"
	 "brainmri data pack brain_Tumor_Types hdfs://localhost:9000/user/me/brain_Tumor_Types.zip\n"
	 "brainmri data verify brain_Tumor_Types hdfs:///user/me/brain_Tumor_Types",
	 2, 3, cli_data},
	{"audit", "TRAIN TEST", "copies of training images among test images, and what they do to accuracy",
	 "TRAIN and TEST are folders with a folder of images per class. Copies are files with the same bytes, and "
	 "images that "
	 "are nearly the same; a model has seen them, so its test accuracy is too high. With --model it is also "
	 "measured "
	 "without them.",
	 "brainmri audit data/Training data/Testing --model runs/first --out audits/first", 2, 2, cli_audit},
	{"crossval", "[DATA] --out OUT", "the same run on every fold of the data: mean and spread",
	 "Folds are stratified by class, with near-copies in one of them. Each is a run folder in OUT, whose fold is "
	 "tested, half as many "
	 "images choose the epoch, and the others train. A time budget is that of one fold.",
	 "brainmri crossval brain_Tumor_Types --out runs/folds --folds 5 --model compact --time-budget 20m\n"
	 "brainmri crossval --out runs/folds --resume",
	 0, 1, cli_crossval},
	{"search", "[DATA] --out OUT", "search learning rate, head, dropout, augmentation and batch",
	 "Random trials around the plan's settings; the better third goes on with three times the epochs, until one is "
	 "left, which is "
	 "trained in full and evaluated on the test images, once. Trials are judged on validation images and recorded "
	 "as they end.",
	 "brainmri search brain_Tumor_Types --out runs/search --model compact --trials 27 --parallel 2\n"
	 "brainmri search --out runs/search --resume --trials 27",
	 0, 1, cli_search},
};
const size_t cli_command_count = sizeof cli_commands / sizeof *cli_commands;

const cli_option cli_options[] = {
	{CLI_OUT, "out", 'o', "RUN", "the run folder: where results are kept", KEEPS},
	{CLI_CONFIG, "config", 'c', "FILE",
	 "take settings, but not the folder of the results, from the config.json of a run; options given here come "
	 "first",
	 RUN | EXPLORE | TRIES},
	{CLI_RESUME, "resume", 0, NULL, "go on from the checkpoint of a stopped run, with its settings",
	 RUN | TRAIN | TRIES},
	{CLI_FORCE, "force", 0, NULL, "start anew in a run folder that holds another configuration",
	 RUN | ENVIRONMENT | EXPLORE | TRIES},

	{CLI_STRICT, "strict", 0, NULL, "fail on a file that cannot be read, instead of leaving it out",
	 RUN | EXPLORE | CLASSES | PREPROCESS | AUDIT | TRIES},
	{CLI_SPLIT, "split", 0, "KIND",
	 "default: 70/15/15 train/validation/test; guide: 80/20, tested on the validation part; final: 95/5 likewise, "
	 "for a model that is given away after its recipe was tested with the default split; refit: 80/5/15, the "
	 "default's test images, while two thirds of its validation images train, for a recipe that was chosen with "
	 "the "
	 "default split",
	 RUN | EXPLORE | PREPROCESS | TRIES},
	{CLI_SPLIT_SEED, "split-seed", 0, "N",
	 "of the split alone, for runs of several seeds on one split (that of --seed)",
	 RUN | EXPLORE | PREPROCESS | TRIES},
	{CLI_TRAIN_SHARE, "train-share", 0, "X",
	 "train on this share of the training images, 0.01 to 1, in whole near-copy groups, to see what more "
	 "images bring (1)",
	 RUN | EXPLORE | TRAIN | TRIES},
	{CLI_PACK, "pack", 0, "FOLDER", "keep the preprocessed images there, to share them among runs (RUN/pack)",
	 RUN | EXPLORE | PREPROCESS | TRIES},

	{CLI_MASTER, "master", 'm', "URL",
	 "preprocess on Spark: spark://HOST:PORT, yarn, local[N], local[*], or rest://HOST:PORT, which needs no Spark "
	 "here (none: "
	 "threads of this program)",
	 SPARK},
	{CLI_SPARK_CONF, "spark-conf", 0, "NAME=VALUE[,...]", "settings for Spark, as spark.executor.memory=1g", SPARK},
	{CLI_PARTITIONS, "partitions", 0, "N", "parts that Spark's tasks make (two for each core of the cluster)",
	 SPARK},
	{CLI_IMAGE_SECONDS, "image-seconds", 0, "N", "that Spark's workers may take for an image (60)", SPARK},

	{CLI_PLAN, "plan", 'p', "NAME",
	 "two-stage: frozen base, then its last layers; scratch: all layers from nothing; compact: the same for "
	 "--model compact (two-stage)",
	 RUN | EXPLORE | MODEL | TRAIN | TRIES},
	{CLI_WEIGHTS, "weights", 'w', "none|imagenet|FILE",
	 "start from ImageNet's weights, fetched once, or those of a .keras, .h5 or .safetensors file (none)",
	 RUN | EXPLORE | MODEL | TRAIN | TRIES},
	{CLI_TEACHER, "teacher", 0, "RUN|FILE[,...]",
	 "learn three quarters from what these finished models say of the changed images, and a quarter from the "
	 "labels; none: from labels alone. Their training images must not be this run's test images: use one "
	 "--split-seed",
	 RUN | EXPLORE | TRAIN},
	{CLI_NETWORK, "model", 0, "NAME",
	 "resnet50: ResNet-50 as in Keras, 24 million parameters; resnet50v1.5: as in torchvision; compact: one grey "
	 "channel, 2.8 million, with its own plan (resnet50)",
	 RUN | EXPLORE | MODEL | TRAIN | TRIES},
	{CLI_HEAD, "head", 0, "NAME", "guide: Dense 256, 128; dense512: Dense 512; linear: no hidden layer (guide)",
	 RUN | EXPLORE | MODEL | TRAIN | TRIES},
	{CLI_DROPOUT, "dropout", 0, "X", "rate of the head's dropout, 0 to 0.9 (as the head has it: 0.5)",
	 RUN | EXPLORE | MODEL | TRAIN | TRIES},
	{CLI_WIDTH, "width", 0, "X",
	 "share of the network's filters, 0.0625 to 4; those of --weights are widened to it, which does not change "
	 "what they compute (1, or that of --weights)",
	 RUN | EXPLORE | MODEL | TRAIN | TRIES},
	{CLI_DEPTH, "depth", 0, "N",
	 "layers of a ResNet: 14, 26 or 50; those of --weights are deepened to it, which does not change what they "
	 "compute (50, or that of --weights)",
	 RUN | EXPLORE | MODEL | TRAIN | TRIES},
	{CLI_IMAGE_SIZE, "image-size", 0, "N",
	 "pixels a side that the network takes, 32 to 1024 (224; scratch: 128; or that of --weights)",
	 RUN | EXPLORE | MODEL | TRAIN | TRIES},
	{CLI_SUMMARY, "summary", 0, NULL, "print the table of all layers", RUN | MODEL},

	{CLI_EPOCHS, "epochs", 'e', "N[,N...]", "epochs of each stage, 0: leave it out; one number: of every stage",
	 RUN | EXPLORE | TRAIN | TRIES},
	{CLI_TIME_BUDGET, "time-budget", 0, "TIME", "as many epochs as fit: 3600, 60m, 1h30m (none)",
	 RUN | EXPLORE | TRAIN | TRIES},
	{CLI_BATCH, "batch", 'b', "N[,N...]", "images per step", RUN | EXPLORE | TRAIN | TRIES},
	{CLI_RATE, "lr", 0, "X[,X...]", "learning rate of each stage; one number: of every stage",
	 RUN | EXPLORE | TRAIN | TRIES},
	{CLI_PRECISION, "precision", 0, "auto|f32|bf16",
	 "bf16: convolutions multiply in bfloat16, weights and sums stay f32: faster on some "
	 "processors with AVX512_BF16, half as fast on others; auto: measure which is faster here (f32)",
	 RUN | EXPLORE | TRAIN | TRIES},
	{CLI_WEIGHT_DECAY, "weight-decay", 0, "X", "decay of AdamW; 0: Adam", RUN | EXPLORE | TRAIN | TRIES},
	{CLI_LABEL_SMOOTHING, "label-smoothing", 0, "X", "0 to 0.5", RUN | EXPLORE | TRAIN | TRIES},
	{CLI_LAST_LAYERS, "last-layers", 0, "N", "layers of the base that stage 2 of the two-stage plan trains (30)",
	 RUN | EXPLORE | TRAIN | TRIES},
	{CLI_NO_AUGMENT, "no-augment", 0, NULL, "train on the images as they are, unchanged and unmixed",
	 RUN | EXPLORE | TRAIN | TRIES},
	{CLI_NO_CLASS_WEIGHTS, "no-class-weights", 0, NULL, "do not balance the classes",
	 RUN | EXPLORE | TRAIN | TRIES},
	{CLI_SAVE_OPTIMIZER, "save-optimizer", 0, NULL,
	 "keep Adam's state in the .keras files, for Keras' fit() to go on from", RUN | EXPLORE | TRAIN | TRIES},
	{CLI_UI, "ui", 0, "[=PORT]",
	 "a page in the browser that shows the work as it goes on, at http://127.0.0.1:4040/ or the next free port; "
	 "only this machine gets it",
	 RUN | PREPROCESS | TRAIN | EVALUATE},
	{CLI_TENSORBOARD, "tensorboard", 0, NULL,
	 "write what TensorBoard shows into RUN/tensorboard: 'tensorboard --logdir RUN/tensorboard'",
	 RUN | TRAIN | EVALUATE},
	{CLI_NO_BENCH, "no-bench", 0, NULL, "leave the benchmark of phase 10 out", RUN},
	{CLI_SAMPLE, "sample", 0, "N", "images that are measured, 0: all (400)", BENCH},

	{CLI_MODEL, "model", 0, "RUN|FILE", "also measure this model's accuracy with and without the copies", AUDIT},
	{CLI_FOLDS, "folds", 'k', "N", "2 to 20 (5)", CROSSVAL},
	{CLI_TRIALS, "trials", 'n', "N", "random settings to begin with, 2 to 256 (27)", SEARCH},
	{CLI_PARALLEL, "parallel", 0, "N", "trials at once, each with its share of --threads (1)", SEARCH},
	{CLI_ABSTAIN, "abstain", 0, "[=X]",
	 "say 'not sure: see a radiologist' below a confidence of X, 0 to 1 (that chosen when the model was evaluated)",
	 PREDICT},
	{CLI_ANY_IMAGE, "any-image", 0, NULL,
	 "classify images that are unlike those trained on, too: not to be believed", PREDICT},

	{CLI_CARD, "card", 0, NULL, "print the model card of the model that ships with the program", PREDICT},

	{CLI_COUNT, "count", 'n', "N", "images per class (100)", PHANTOM},
	{CLI_SIZE, "size", 0, "N", "pixels a side, 32 to 1024 (256)", PHANTOM},

	{CLI_REPORT_OUT, "out", 'o', "FILE", "with several runs: the page to write (comparison.html)", REPORT},
	{CLI_TO, "to", 0, "FORMAT",
	 "keras: Keras 3; safetensors: named arrays; onnx: the network from pixels to probabilities", EXPORT},
	{CLI_HALF, "half", 0, NULL, "safetensors with kernels in half precision: half the size", EXPORT},
	{CLI_CALIBRATION, "calibration", 0, "RUN|FILE",
	 "keras, safetensors: with the temperature and the abstain threshold of this model, trained by the same recipe "
	 "on the default split, where those of --split final were chosen on few images (the model's own)",
	 EXPORT},
	{CLI_PIXELS, "pixels", 0, "KIND", "what the ONNX network takes, from 0 to 255: uint8 or float32 (uint8)",
	 EXPORT},
	{CLI_EXPORT_OUT, "out", 'o', "FILE", "the file to write", EXPORT},
	{CLI_WEBHDFS, "webhdfs", 0, "HOST:PORT[,...]",
	 "the NameNodes' HTTP addresses (from Hadoop's configuration, or port 9870)",
	 RUN | ENVIRONMENT | EXPLORE | CLASSES | PREPROCESS | BENCH | DATA},
	{CLI_TRANSFERS, "transfers", 0, "N", "files at once, 1 to 64 (16 with a server)", DATA},
	{CLI_REPLICATION, "replication", 0, "N", "copies that HDFS keeps of each file (its default)", DATA},
	{CLI_NO_VERIFY, "no-verify", 0, NULL, "compare lengths only, no checksums", DATA},

	{CLI_SEED, "seed", 's', "N", "of everything that is random (42)", EVERY},
	{CLI_THREADS, "threads", 't', "N|local[N]|local[*]", "worker threads (one per core)", EVERY},
	{CLI_JSON, "json", 0, NULL, "print the results as JSON on standard output", EVERY},
	{CLI_QUIET, "quiet", 'q', NULL, "no progress and no notes: only results, warnings and errors", EVERY},
	{CLI_HELP, "help", 'h', NULL, "print this help", EVERY},
	{CLI_VERSION, "version", 'V', NULL, "print the version", EVERY},
};
const size_t cli_option_count = sizeof cli_options / sizeof *cli_options;
