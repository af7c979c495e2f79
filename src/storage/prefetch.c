#include "storage/prefetch.h"

#include <pthread.h>
#include <string.h>

#include "base/memory.h"

enum { AHEAD = 64, THREADS_MAX = 16 };
#define BYTES_MAX ((uint64_t)192 << 20)

typedef enum state { WAITING, READING, READY, TAKEN } state;

typedef struct file_slot {
	state state;
	bm_status status;
	char *message; /* of a failure */
	uint8_t *bytes;
	size_t size;
} file_slot;

struct storage_prefetch {
	storage *storage;
	const char *const *paths;
	size_t count, limit;
	file_slot *slots; /* NULL: nothing is read ahead */
	size_t next;	  /* to be read */
	size_t low;	  /* all before it are taken */
	uint64_t held;
	bool stop;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t threads[THREADS_MAX];
	int thread_count;
};

/* Reads slot i, which is READING; called and left with the lock held. */
static void read_slot(storage_prefetch *p, size_t i)
{
	file_slot *slot = &p->slots[i];
	bm_error err = {0};
	uint8_t *bytes = NULL;
	size_t size = 0;
	pthread_mutex_unlock(&p->lock);
	bm_status status = storage_read(p->storage, p->paths[i], p->limit, &bytes, &size, &err);
	char *message = status == BM_OK ? NULL : base_strdup(err.message, NULL);
	pthread_mutex_lock(&p->lock);
	slot->status = status;
	slot->message = message;
	slot->bytes = bytes;
	slot->size = size;
	slot->state = READY;
	p->held += size;
	pthread_cond_broadcast(&p->changed);
}

static void *work(void *arg)
{
	storage_prefetch *p = arg;
	pthread_mutex_lock(&p->lock);
	while (!p->stop && p->next < p->count) {
		if (p->slots[p->next].state != WAITING) {
			p->next++;
		} else if (p->next >= p->low + AHEAD || p->held > BYTES_MAX) {
			pthread_cond_wait(&p->changed, &p->lock);
		} else {
			size_t i = p->next++;
			p->slots[i].state = READING;
			read_slot(p, i);
		}
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

bm_status storage_prefetch_open(storage *s, const char *const *paths, size_t count, size_t limit,
				storage_prefetch **out, bm_error *err)
{
	int threads = storage_transfers(s);
	*out = NULL;
	storage_prefetch *p = base_calloc(1, sizeof *p, "files read ahead", err);
	if (!p)
		return BM_ERR_MEMORY;
	*p = (storage_prefetch){.storage = s, .paths = paths, .count = count, .limit = limit};
	if (threads < 1 || count < 2) {
		*out = p;
		return BM_OK;
	}
	p->slots = base_calloc(count, sizeof *p->slots, "files read ahead", err);
	if (!p->slots) {
		base_free(p);
		return BM_ERR_MEMORY;
	}
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	if (threads > THREADS_MAX)
		threads = THREADS_MAX;
	/* With fewer threads than wished, or none, it goes on: who takes a file that nobody read reads it. */
	while (p->thread_count < threads && pthread_create(&p->threads[p->thread_count], NULL, work, p) == 0)
		p->thread_count++;
	*out = p;
	return BM_OK;
}

bm_status storage_prefetch_take(storage_prefetch *p, size_t index, uint8_t **bytes, size_t *size, bm_error *err)
{
	*bytes = NULL;
	*size = 0;
	if (index >= p->count)
		return base_fail(err, BM_ERR_INTERNAL, "file %zu of %zu is to be read; please report this", index,
				 p->count);
	if (!p->slots)
		return storage_read(p->storage, p->paths[index], p->limit, bytes, size, err);
	file_slot *slot = &p->slots[index];
	pthread_mutex_lock(&p->lock);
	if (slot->state == WAITING) {
		slot->state = READING;
		read_slot(p, index);
	}
	while (slot->state == READING)
		pthread_cond_wait(&p->changed, &p->lock);
	bm_status status = slot->status;
	if (slot->state == TAKEN) {
		status = base_fail(err, BM_ERR_INTERNAL, "'%s' is taken twice; please report this", p->paths[index]);
	} else {
		if (status == BM_OK) {
			*bytes = slot->bytes;
			*size = slot->size;
		} else {
			base_fail(err, status, "%s", slot->message ? slot->message : "no memory");
		}
		base_free(slot->message);
		p->held -= slot->size;
		*slot = (file_slot){.state = TAKEN};
		while (p->low < p->count && p->slots[p->low].state == TAKEN)
			p->low++;
		pthread_cond_broadcast(&p->changed);
	}
	pthread_mutex_unlock(&p->lock);
	return status;
}

void storage_prefetch_close(storage_prefetch *p)
{
	if (!p)
		return;
	if (p->slots) {
		pthread_mutex_lock(&p->lock);
		p->stop = true;
		pthread_cond_broadcast(&p->changed);
		pthread_mutex_unlock(&p->lock);
		for (int i = 0; i < p->thread_count; i++)
			pthread_join(p->threads[i], NULL);
		for (size_t i = 0; i < p->count; i++) {
			base_free(p->slots[i].bytes);
			base_free(p->slots[i].message);
		}
		base_free(p->slots);
		pthread_cond_destroy(&p->changed);
		pthread_mutex_destroy(&p->lock);
	}
	base_free(p);
}
