/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a large index takes to open and to search, and what it costs in
 * memory: makes index objects of as many chunks as it is told in a folder,
 * opens them without and with the cache of this machine, each in a process of
 * its own, and looks chunks up.
 *
 *	make tests/bench/index_bench
 *	tests/bench/index_bench /tmp/index-bench 10000000 131072
 *
 * The third number is how many chunks an object holds; sessions write 131,072
 * and a prune joins them to larger ones. With two more numbers it fails where
 * the index opens more slowly with a cache, by the clock or by the processor,
 * or is larger in memory, with a cache or without: "make bench-index" gives a
 * second and 256 MiB.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/index_set.h"

#define PER_PACK 256ul /* chunks of a pack */
#define LOOK_UPS 2000000ul
#define CACHE_ID "index-bench"

static const unsigned char seed[32] = "a writer's seed";
static struct fmt_age_identity metadata;
static struct fmt_age_recipient recipient;

static double
now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return (double)at.tv_sec + 1e-9 * (double)at.tv_nsec;
}

/* Of this process; other work on the machine does not count. */
static double
cpu(void)
{
	struct timespec at;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
	return (double)at.tv_sec + 1e-9 * (double)at.tv_nsec;
}

static void
must(int rc, const struct bkp_error *err)
{
	if (rc == 0)
		return;
	fprintf(stderr, "index_bench: %s\n", err->message);
	exit(1);
}

static void
must_format(enum fmt_status status)
{
	if (status == FMT_OK)
		return;
	fprintf(stderr, "index_bench: %s\n", fmt_status_text(status));
	exit(1);
}

/* ---- what is searched ---- */

static uint64_t
mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

/* As good as random, and known from the number. */
static void
make_id(uint64_t number, unsigned char id[FMT_ID_SIZE])
{
	for (uint64_t i = 0; i < 4; i++) {
		uint64_t part = mix(4 * number + i);

		memcpy(id + 8 * i, &part, sizeof(part));
	}
}

static void
add_pack(
    struct fmt_index_builder *builder, unsigned long first, unsigned long count)
{
	struct fmt_index_pack pack = {
	    .stored_size = 16 << 20, .kind = FMT_PACK_DATA};
	struct fmt_pack_chunk chunks[PER_PACK] = {0};

	make_id(~(uint64_t)first, pack.name);
	for (unsigned long i = 0; i < count; i++) {
		make_id(first + i, chunks[i].id);
		chunks[i].offset = (uint32_t)i * 65536;
		chunks[i].stored_len = 65536;
		chunks[i].raw_len = 262144;
	}
	must_format(fmt_index_builder_add(builder, &pack, chunks, count));
}

static void
make_object(struct bkp_store *store, unsigned long first, unsigned long count)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct fmt_index_builder *builder;
	struct fmt_buf plain = FMT_BUF_INIT;
	char name[BKP_OBJECT_NAME];

	must_format(fmt_index_builder_new(&builder));
	for (unsigned long at = 0; at < count; at += PER_PACK)
		add_pack(builder, first + at,
		    count - at < PER_PACK ? count - at : PER_PACK);
	must_format(fmt_index_builder_encode(builder, seed, &plain));
	fmt_index_builder_free(builder);
	must(bkp_object_seal(store, "index", &recipient, 1, plain.data,
		 plain.len, name, NULL, &err),
	    &err);
	fmt_buf_free(&plain);
}

/* ---- measuring ---- */

/* "VmRSS:" or "VmHWM:" in MiB. */
static double
memory(const char *what)
{
	FILE *status = fopen("/proc/self/status", "r");
	char line[256];
	double kib = 0;

	while (status != NULL && fgets(line, sizeof(line), status) != NULL)
		if (strncmp(line, what, strlen(what)) == 0)
			kib = strtod(line + strlen(what), NULL);
	if (status != NULL)
		(void)fclose(status);
	return kib / 1024;
}

static int
believe(void *arg, const unsigned char key[32], const char *name,
    struct bkp_error *err)
{
	(void)arg;
	(void)key;
	(void)name;
	(void)err;
	return 0;
}

static void
look_up(struct bkp_index_set *set, unsigned long chunks, bool is_known)
{
	struct fmt_index_place place;
	unsigned char id[FMT_ID_SIZE];
	unsigned long found = 0;
	double start = now(), start_cpu = cpu(), took;

	for (unsigned long i = 0; i < LOOK_UPS; i++) {
		make_id(mix(i) % chunks + (is_known ? 0 : chunks), id);
		found += bkp_index_set_find(set, id, &place);
	}
	took = now() - start;
	if (found != (is_known ? LOOK_UPS : 0)) {
		fprintf(stderr, "index_bench: %lu were found\n", found);
		exit(1);
	}
	printf(
	    "  %s ids: %.2f us each (%.2f of processor), %.0f MiB resident\n",
	    is_known ? "known  " : "unknown", 1e6 * took / LOOK_UPS,
	    1e6 * (cpu() - start_cpu) / LOOK_UPS, memory("VmRSS:"));
}

/* What a run should take at the most, or took. */
struct figures {
	double seconds, mib;
};

static struct figures
measure(const char *what, const char *store_path, unsigned long chunks,
    bool has_cache)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_store *store;
	struct bkp_index_set set;
	struct figures figures;
	double start = now(), start_cpu = cpu(), took_cpu;

	must(bkp_store_open(store_path, BKP_STORE_OPEN, &store, &err), &err);
	bkp_index_set_init(&set);
	if (has_cache)
		must(bkp_index_set_use_cache(&set, CACHE_ID, &err), &err);
	must(bkp_index_set_load(&set, store, &metadata, 1, believe, NULL, &err),
	    &err);
	must(bkp_index_set_is_whole(&set, &err), &err);
	figures.seconds = now() - start;
	took_cpu = cpu() - start_cpu;
	printf("%s: %zu objects opened in %.3f s (%.3f of processor), "
	       "%.0f MiB resident (at most %.0f)\n",
	    what, set.count, figures.seconds, took_cpu, memory("VmRSS:"),
	    memory("VmHWM:"));
	look_up(&set, chunks, true);
	look_up(&set, chunks, false);
	figures.mib = memory("VmHWM:");
	printf("  at most %.0f MiB resident\n", figures.mib);
	bkp_index_set_free(&set);
	bkp_store_close(store);
	/* Threads may take more of the processor than of the clock. */
	if (took_cpu > figures.seconds)
		figures.seconds = took_cpu;
	return figures;
}

/* ---- the bench ---- */

struct bench {
	char store[4096];
	unsigned long chunks, each;
	struct figures limits; /* 0: none */
};

static void
make_all(const struct bench *bench)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_store *store;
	unsigned long at, left;

	must(
	    bkp_store_open(bench->store, BKP_STORE_CREATE, &store, &err), &err);
	for (at = 0; at < bench->chunks; at += bench->each) {
		left = bench->chunks - at;
		make_object(store, at, left < bench->each ? left : bench->each);
	}
	bkp_store_close(store);
}

static void
check(struct figures took, struct figures limits)
{
	if ((limits.seconds <= 0 || took.seconds <= limits.seconds) &&
	    (limits.mib <= 0 || took.mib <= limits.mib))
		return;
	fprintf(stderr,
	    "index_bench: %.3f s and %.0f MiB are more than it may take "
	    "(%.3f s and %.0f MiB; 0: as much as it likes)\n",
	    took.seconds, took.mib, limits.seconds, limits.mib);
	exit(1);
}

/* That is once on each machine: it has its time, but no more memory. */
static struct figures
memory_only(const struct bench *bench)
{
	return (struct figures){.mib = bench->limits.mib};
}

static void
without_cache(const struct bench *bench)
{
	check(measure("without a cache", bench->store, bench->chunks, false),
	    memory_only(bench));
}

static void
with_new_cache(const struct bench *bench)
{
	check(measure("with a new cache", bench->store, bench->chunks, true),
	    memory_only(bench));
}

static void
with_cache(const struct bench *bench)
{
	check(measure("with a cache", bench->store, bench->chunks, true),
	    bench->limits);
}

/* So that each has its own memory. */
static void
in_a_process(void (*run)(const struct bench *), const struct bench *bench)
{
	pid_t child;
	int status = 1;

	(void)fflush(stdout);
	if ((child = fork()) == 0) {
		run(bench);
		(void)fflush(stdout);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0)
		exit(1);
}

int
main(int argc, char **argv)
{
	struct bench bench = {.chunks = 0};
	char cache[4096];

	if ((argc != 4 && argc != 6) ||
	    (bench.chunks = strtoul(argv[2], NULL, 10)) == 0 ||
	    (bench.each = strtoul(argv[3], NULL, 10)) == 0) {
		fprintf(stderr, "usage: index_bench FOLDER CHUNKS EACH "
				"[SECONDS MIB]\n");
		return 2;
	}
	if (argc == 6)
		bench.limits = (struct figures){
		    strtod(argv[4], NULL), strtod(argv[5], NULL)};
	(void)snprintf(bench.store, sizeof(bench.store), "%s/store", argv[1]);
	(void)snprintf(cache, sizeof(cache), "%s/cache", argv[1]);
	if (setenv("BACKUP_CACHE_DIR", cache, 1) < 0 ||
	    mkdir(argv[1], 0700) < 0) {
		perror(argv[1]);
		return 1;
	}
	must_format(fmt_age_identity_new(&metadata));
	must_format(fmt_age_identity_recipient(&metadata, &recipient));
	in_a_process(make_all, &bench);
	in_a_process(without_cache, &bench);
	in_a_process(with_new_cache, &bench);
	in_a_process(with_cache, &bench);
	return 0;
}
