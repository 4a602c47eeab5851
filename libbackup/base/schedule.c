/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Edges and locks are collected as they come and sorted by their job once. A
 * heap holds the jobs that wait for nothing but perhaps a lock; one that cannot
 * have its locks is passed over and looked at again with the next task.
 */
#include "libbackup/base/schedule.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "libbackup/base/fail.h"

#define WAIT_NS (200 * 1000 * 1000)

/* Of 100,000 tables there are 500,000 jobs and more edges: numbers are no
 * longer than they have to be. */
#define COUNT_MAX (UINT32_MAX / 2)

struct job {
	void *arg;
	uint64_t length, way; /* way: with the longest row behind it */
	uint32_t units, taken, finished;
	uint32_t waits; /* for so many others */
	uint32_t first_edge, first_lock;
};

/* From a job to one that waits for it. */
struct edge {
	uint32_t job, later;
};

struct lock {
	uint32_t job, thing;
	bool is_alone;
};

struct thing {
	uint32_t users;
	bool is_alone;
};

struct bkp_schedule {
	struct job *jobs;
	size_t job_count, job_cap;
	struct edge *edges;
	size_t edge_count, edge_cap;
	struct lock *locks;
	size_t lock_count, lock_cap;
	struct thing *things;
	size_t thing_count;

	pthread_mutex_t mutex;
	pthread_cond_t changed;
	uint32_t *heap; /* jobs that may begin, the longest way first */
	size_t heap_count;
	uint32_t *passed; /* room for those that are passed over */
	size_t left;      /* jobs that are not finished */
	bool is_stopped;
};

int
bkp_schedule_new(struct bkp_schedule **out, struct bkp_error *err)
{
	struct bkp_schedule *s = bkp_alloc(sizeof(*s), err);

	if (s == NULL)
		return -1;
	pthread_mutex_init(&s->mutex, NULL);
	pthread_cond_init(&s->changed, NULL);
	*out = s;
	return 0;
}

void
bkp_schedule_free(struct bkp_schedule *s)
{
	if (s == NULL)
		return;
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->mutex);
	free(s->jobs);
	free(s->edges);
	free(s->locks);
	free(s->things);
	free(s->heap);
	free(s->passed);
	free(s);
}

static int
fail_count(struct bkp_error *err)
{
	return bkp_fail(err, BKP_UNSUPPORTED, "there is too much to be done");
}

int
bkp_schedule_add(struct bkp_schedule *s, uint64_t length, uint64_t units,
    void *arg, size_t *job, struct bkp_error *err)
{
	if (s->job_count >= COUNT_MAX || units > COUNT_MAX)
		return fail_count(err);
	if (bkp_grow(
		&s->jobs, s->job_count, &s->job_cap, sizeof(*s->jobs), err) < 0)
		return -1;
	*job = s->job_count++;
	s->jobs[*job] = (struct job){
	    .arg = arg, .length = length, .units = (uint32_t)units};
	return 0;
}

int
bkp_schedule_after(
    struct bkp_schedule *s, size_t job, size_t earlier, struct bkp_error *err)
{
	if (s->edge_count >= COUNT_MAX)
		return fail_count(err);
	if (bkp_grow(&s->edges, s->edge_count, &s->edge_cap, sizeof(*s->edges),
		err) < 0)
		return -1;
	s->edges[s->edge_count++] =
	    (struct edge){(uint32_t)earlier, (uint32_t)job};
	s->jobs[job].waits++;
	return 0;
}

int
bkp_schedule_lock(struct bkp_schedule *s, size_t job, size_t thing,
    bool is_alone, struct bkp_error *err)
{
	if (s->lock_count >= COUNT_MAX || thing >= COUNT_MAX)
		return fail_count(err);
	if (bkp_grow(&s->locks, s->lock_count, &s->lock_cap, sizeof(*s->locks),
		err) < 0)
		return -1;
	s->locks[s->lock_count++] =
	    (struct lock){(uint32_t)job, (uint32_t)thing, is_alone};
	if (thing >= s->thing_count)
		s->thing_count = thing + 1;
	return 0;
}

/* ---- the heap ---- */

/* Of equals the one that was added first. */
static bool
is_before(const struct bkp_schedule *s, size_t a, size_t b)
{
	if (s->jobs[a].way != s->jobs[b].way)
		return s->jobs[a].way > s->jobs[b].way;
	return a < b;
}

static void
push(struct bkp_schedule *s, uint32_t job)
{
	size_t at = s->heap_count++;

	while (at > 0 && is_before(s, job, s->heap[(at - 1) / 2])) {
		s->heap[at] = s->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	s->heap[at] = job;
}

static uint32_t
pop(struct bkp_schedule *s)
{
	uint32_t top = s->heap[0], last = s->heap[--s->heap_count];
	size_t at = 0, child;

	while ((child = 2 * at + 1) < s->heap_count) {
		if (child + 1 < s->heap_count &&
		    is_before(s, s->heap[child + 1], s->heap[child]))
			child++;
		if (!is_before(s, s->heap[child], last))
			break;
		s->heap[at] = s->heap[child];
		at = child;
	}
	s->heap[at] = last;
	return top;
}

/* ---- start ---- */

static int
compare_edges(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;

	return (x->job > y->job) - (x->job < y->job);
}

static int
compare_locks(const void *a, const void *b)
{
	const struct lock *x = a, *y = b;

	return (x->job > y->job) - (x->job < y->job);
}

static void
sort_edges(struct bkp_schedule *s)
{
	uint32_t edge = 0, lock = 0;

	if (s->edge_count > 0)
		qsort(
		    s->edges, s->edge_count, sizeof(*s->edges), compare_edges);
	if (s->lock_count > 0)
		qsort(
		    s->locks, s->lock_count, sizeof(*s->locks), compare_locks);
	for (size_t job = 0; job < s->job_count; job++) {
		s->jobs[job].first_edge = edge;
		s->jobs[job].first_lock = lock;
		while (edge < s->edge_count && s->edges[edge].job == job)
			edge++;
		while (lock < s->lock_count && s->locks[lock].job == job)
			lock++;
	}
}

/* Puts the jobs into an order in which none comes before one that it waits
 * for; answers how many have a place in it. */
static size_t
sort_jobs(const struct bkp_schedule *s, uint32_t *order, uint32_t *waits)
{
	size_t count = 0;

	for (uint32_t job = 0; job < s->job_count; job++)
		if ((waits[job] = s->jobs[job].waits) == 0)
			order[count++] = job;
	for (size_t at = 0; at < count; at++) {
		size_t job = order[at];

		for (size_t i = s->jobs[job].first_edge;
		     i < s->edge_count && s->edges[i].job == job; i++)
			if (--waits[s->edges[i].later] == 0)
				order[count++] = s->edges[i].later;
	}
	return count;
}

static void
measure(struct bkp_schedule *s, const uint32_t *order)
{
	for (size_t at = s->job_count; at-- > 0;) {
		struct job *job = &s->jobs[order[at]];
		uint64_t longest = 0;

		for (size_t i = job->first_edge;
		     i < s->edge_count && s->edges[i].job == order[at]; i++)
			if (s->jobs[s->edges[i].later].way > longest)
				longest = s->jobs[s->edges[i].later].way;
		job->way = job->length + longest;
	}
}

int
bkp_schedule_start(struct bkp_schedule *s, struct bkp_error *err)
{
	size_t count = s->job_count;

	s->heap = bkp_alloc_array(count, sizeof(*s->heap), err);
	s->passed = bkp_alloc_array(count, sizeof(*s->passed), err);
	s->things = bkp_alloc_array(s->thing_count, sizeof(*s->things), err);
	if (s->heap == NULL || s->passed == NULL || s->things == NULL)
		return -1;
	sort_edges(s);
	if (sort_jobs(s, s->heap, s->passed) < count)
		return bkp_fail(
		    err, BKP_INVALID, "jobs wait for each other in a circle");
	measure(s, s->heap);
	for (uint32_t job = 0; job < count; job++)
		if (s->jobs[job].waits == 0)
			push(s, job);
	s->left = count;
	return 0;
}

/* Lengths are guesses, and somebody else may get the processor: a quarter is
 * kept for that. */
bool
bkp_schedule_is_short(
    const struct bkp_schedule *s, size_t job, unsigned workers)
{
	uint64_t total = 0;

	for (size_t i = 0; i < s->job_count; i++)
		total += s->jobs[i].length;
	return s->jobs[job].units == 1 || workers == 1 ||
	       s->jobs[job].way <= total / workers * 3 / 4;
}

void
bkp_schedule_join(struct bkp_schedule *s, size_t job)
{
	s->jobs[job].units = 1;
}

/* ---- at work ---- */

static bool
can_lock(const struct bkp_schedule *s, size_t job)
{
	for (size_t i = s->jobs[job].first_lock;
	     i < s->lock_count && s->locks[i].job == job; i++) {
		const struct thing *thing = &s->things[s->locks[i].thing];

		if (thing->is_alone ||
		    (s->locks[i].is_alone && thing->users > 0))
			return false;
	}
	return true;
}

static void
change_locks(struct bkp_schedule *s, size_t job, bool is_taken)
{
	for (size_t i = s->jobs[job].first_lock;
	     i < s->lock_count && s->locks[i].job == job; i++) {
		struct thing *thing = &s->things[s->locks[i].thing];

		thing->users += is_taken ? 1 : (uint32_t)-1;
		if (s->locks[i].is_alone)
			thing->is_alone = is_taken;
	}
}

/* The lock is the job's: units of one job do not exclude each other. */
static bool
can_begin(const struct bkp_schedule *s, size_t job)
{
	return s->jobs[job].taken > 0 || can_lock(s, job);
}

static bool
pick(struct bkp_schedule *s, struct bkp_task *out)
{
	size_t passed = 0;
	bool has_found = false;

	while (!has_found && s->heap_count > 0) {
		uint32_t number = pop(s);
		struct job *job = &s->jobs[number];

		if (!can_begin(s, number)) {
			s->passed[passed++] = number;
			continue;
		}
		if (job->taken == 0)
			change_locks(s, number, true);
		*out = (struct bkp_task){number, job->taken++, job->arg};
		if (job->taken < job->units)
			push(s, number);
		has_found = true;
	}
	while (passed > 0)
		push(s, s->passed[--passed]);
	return has_found;
}

static void
wait_a_little(struct bkp_schedule *s)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += WAIT_NS;
	if (until.tv_nsec >= 1000 * 1000 * 1000) {
		until.tv_nsec -= 1000 * 1000 * 1000;
		until.tv_sec++;
	}
	(void)pthread_cond_timedwait(&s->changed, &s->mutex, &until);
}

int
bkp_schedule_take(struct bkp_schedule *s, const struct bkp_cancel *cancel,
    struct bkp_task *out, struct bkp_error *err)
{
	int answer = 0;

	pthread_mutex_lock(&s->mutex);
	while (!s->is_stopped && s->left > 0) {
		if (bkp_cancel_is_requested(cancel)) {
			answer =
			    bkp_fail(err, BKP_CANCELLED, "stopped on request");
			break;
		}
		if (pick(s, out)) {
			answer = 1;
			break;
		}
		wait_a_little(s);
	}
	pthread_mutex_unlock(&s->mutex);
	return answer;
}

bool
bkp_schedule_finish(struct bkp_schedule *s, const struct bkp_task *task)
{
	struct job *job = &s->jobs[task->job];
	bool is_last;

	pthread_mutex_lock(&s->mutex);
	is_last = ++job->finished == job->units;
	pthread_mutex_unlock(&s->mutex);
	return is_last;
}

void
bkp_schedule_release(struct bkp_schedule *s, const struct bkp_task *task)
{
	size_t number = task->job;

	pthread_mutex_lock(&s->mutex);
	change_locks(s, number, false);
	for (size_t i = s->jobs[number].first_edge;
	     i < s->edge_count && s->edges[i].job == number; i++)
		if (--s->jobs[s->edges[i].later].waits == 0)
			push(s, s->edges[i].later);
	s->left--;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->mutex);
}

void
bkp_schedule_stop(struct bkp_schedule *s)
{
	pthread_mutex_lock(&s->mutex);
	s->is_stopped = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->mutex);
}
