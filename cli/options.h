/* The commands and options of brainmri in one table: parsing, --help, the manual page and completion come from it. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"

typedef enum cli_option_id {
	CLI_HELP,
	CLI_VERSION,
	CLI_JSON,
	CLI_QUIET,
	CLI_SEED,
	CLI_THREADS,
	CLI_OUT,
	CLI_CONFIG,
	CLI_RESUME,
	CLI_FORCE,
	CLI_STRICT,
	CLI_SPLIT,
	CLI_SPLIT_SEED,
	CLI_TRAIN_SHARE,
	CLI_PACK,
	CLI_MASTER,
	CLI_SPARK_CONF,
	CLI_PARTITIONS,
	CLI_IMAGE_SECONDS,
	CLI_PLAN,
	CLI_WEIGHTS,
	CLI_TEACHER,
	CLI_NETWORK,
	CLI_HEAD,
	CLI_WIDTH,
	CLI_DEPTH,
	CLI_IMAGE_SIZE,
	CLI_SUMMARY,
	CLI_BATCH,
	CLI_EPOCHS,
	CLI_RATE,
	CLI_PRECISION,
	CLI_WEIGHT_DECAY,
	CLI_LABEL_SMOOTHING,
	CLI_LAST_LAYERS,
	CLI_NO_AUGMENT,
	CLI_NO_CLASS_WEIGHTS,
	CLI_TIME_BUDGET,
	CLI_NO_BENCH,
	CLI_SAMPLE,
	CLI_MODEL,
	CLI_FOLDS,
	CLI_TRIALS,
	CLI_PARALLEL,
	CLI_DROPOUT,
	CLI_ABSTAIN,
	CLI_ANY_IMAGE,
	CLI_CARD,
	CLI_COUNT,
	CLI_SIZE,
	CLI_SAVE_OPTIMIZER,
	CLI_TO,
	CLI_HALF,
	CLI_CALIBRATION,
	CLI_PIXELS,
	CLI_EXPORT_OUT,
	CLI_REPORT_OUT,
	CLI_WEBHDFS,
	CLI_TRANSFERS,
	CLI_REPLICATION,
	CLI_NO_VERIFY,
	CLI_UI,
	CLI_TENSORBOARD,
	CLI_OPTION_COUNT
} cli_option_id;

typedef struct cli_option {
	cli_option_id id;
	const char *name;     /* without the dashes */
	char letter;	      /* 0: none */
	const char *argument; /* "N"; "[=N]": a number that may be left out, and is then ""; NULL: a flag */
	const char *help;     /* one line */
	uint32_t commands;    /* bit of each command that takes it */
} cli_option;

struct cli_arguments;
struct cli_terminal;

typedef struct cli_command {
	const char *name;
	const char *operands; /* "DATA --out RUN" */
	const char *summary;  /* one line */
	const char *details;  /* a paragraph; may be "" */
	const char *example;  /* lines */
	int least, most;      /* operands; most -1: any number */
	int (*function)(const struct cli_arguments *arguments, struct cli_terminal *terminal);
} cli_command;

extern const cli_option cli_options[];
extern const size_t cli_option_count;
extern const cli_command cli_commands[];
extern const size_t cli_command_count;

typedef struct cli_arguments {
	const cli_command *command;	      /* NULL: none was named */
	const char *values[CLI_OPTION_COUNT]; /* NULL: not given; "" for a flag */
	const char **operands;
	int operand_count;
} cli_arguments;

/* Takes argv apart; the strings stay argv's. BM_ERR_USAGE with what was wrong, the nearest name, and where the help is.
 * Free with cli_arguments_free in any case. */
bm_status cli_parse(int argc, const char *const *argv, cli_arguments *out, bm_error *err);
void cli_arguments_free(cli_arguments *arguments);

/* The help of a command; NULL: of the program. */
void cli_help(const cli_command *command, base_text *text);
const cli_command *cli_find_command(const char *name); /* NULL when there is none */
/* Does the command (NULL: the program without one) take the option? */
bool cli_takes(const cli_command *command, const cli_option *option);

/* The nearest of some names, or NULL when none is near. */
const char *cli_nearest(const char *word, const char *const *names, size_t count);

/* Values, each BM_ERR_USAGE with the option's name and what it takes. */
bm_status cli_parse_integer(const char *option, const char *text, long long low, long long high, long long *value,
			    bm_error *err);
bm_status cli_parse_real(const char *option, const char *text, double low, double high, double *value, bm_error *err);
bm_status cli_parse_list(const char *option, const char *text, double low, double high, double *values, int room,
			 int *count, bm_error *err);
bm_status cli_parse_duration(const char *option, const char *text, double *seconds,
			     bm_error *err); /* "60m", "1h30m", "3600" */
bm_status cli_parse_threads(const char *text, int *threads, bm_error *err);

#endif
