/* What a monitor keeps. */
#ifndef LIVE_STATE_H
#define LIVE_STATE_H

#include <pthread.h>
#include <stdint.h>

#include "base/error.h"
#include "live/monitor.h"

enum {
	LIVE_POINTS = 800, /* of a curve */
	LIVE_CURVES = 4,   /* of a series */
	LIVE_PHASES = 10,
	LIVE_STAGES = 8,
	LIVE_NUMBERS = 24,
	LIVE_LINES = 40,
	LIVE_TEXT = 320,
	LIVE_PICTURES = 16,
};

/* Curves over the same numbers. When it is full two points become one, so it holds all of a work of any length. */
typedef struct live_series {
	int count, held; /* points; events in the last of them */
	long long width; /* events that a point stands for */
	double at[LIVE_POINTS];
	float values[LIVE_POINTS][LIVE_CURVES]; /* means */
} live_series;
void live_series_add(live_series *series, double at, const double values[LIVE_CURVES]);

typedef enum live_phase_state { LIVE_TO_COME, LIVE_RUNNING, LIVE_DONE } live_phase_state;

typedef struct live_number {
	char name[32];
	double value;
} live_number;

typedef struct live_numbers {
	live_number items[LIVE_NUMBERS];
	int count;
} live_numbers;

typedef struct live_phase {
	live_phase_state state;
	char title[64];
	double begun, seconds;
	live_numbers numbers;
} live_phase;

typedef struct live_stage {
	int number;
	char title[96];
	live_numbers numbers;
} live_stage;

/* The last lines of a kind. */
typedef struct live_lines {
	char items[LIVE_LINES][LIVE_TEXT];
	int first, count;
	long long dropped;
} live_lines;

typedef struct live_state {
	uint64_t version;
	bool finished;
	bm_status status;
	char message[BM_MESSAGE_SIZE];
	double begun; /* base_now() */
	live_phase phases[LIVE_PHASES];
	live_stage stages[LIVE_STAGES];
	int stage_count;
	long long step;
	live_numbers now; /* values of the last step */
	live_series steps, epochs, machine;
	char what[64], unit[24], detail[LIVE_TEXT];
	long long done, total;
	double seconds; /* of the progress */
	bool cluster;
	char cluster_page[LIVE_TEXT];
	live_numbers cluster_numbers;
	live_lines lines, warnings;
	uint64_t pictures;	 /* number of the pictures; 0: none yet */
	double cpu_at, cpu_time; /* base_now() and seconds of CPU at the last look */
	double cpu;		 /* share of the cores that this process may use, 0 to 1 */
	uint64_t memory;	 /* bytes resident */
} live_state;

typedef struct live_picture {
	int label, answer;
	float probability;
} live_picture;

/* Copies of a step's images: grey bytes, the first channel. */
typedef struct live_pictures {
	uint64_t number;
	int count, side, original_side;
	size_t room, original_room; /* bytes of the blocks */
	uint8_t *pixels;	    /* [count][side][side] */
	uint8_t *originals;	    /* [count][original_side][original_side] */
	live_picture items[LIVE_PICTURES];
	int classes;
	char names[LIVE_PICTURES][48];
} live_pictures;

struct live_monitor {
	base_observer observer;
	char *command, *folder;
	double wall; /* seconds since 1970 at the beginning */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool condition;	   /* `changed` is there */
	live_state *state; /* under the lock */
	live_pictures pictures;
	double pictures_at;
};

/* pictures.c; all under the lock */
void live_pictures_take(live_pictures *pictures, const base_pictures *from);
bool live_pictures_copy(const live_pictures *from, live_pictures *to); /* false: no memory; to is zeroed or a copy */
void live_pictures_free(live_pictures *pictures);
json_t *live_pictures_json(const live_pictures *pictures);
/* state_json.c */
json_t *live_state_json(const live_state *state, const char *command, const char *folder, double wall);

#endif
