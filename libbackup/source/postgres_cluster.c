/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cluster is kept as what it was made of (32 bytes, a digest) and a zstd
 * frame of a tar archive, which whoever the cluster belongs to packs and
 * unpacks: so root follows no path in a folder of somebody else, and nobody
 * else can read or change what is kept. Whatever is wrong with it costs no more
 * than initdb.
 */
#include "libbackup/source/postgres_cluster.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "formats/buf.h"
#include "formats/sign.h"
#include "libbackup/base/child.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/place.h"
#include "libbackup/base/temporary.h"

#define KEY 32
#define PORTION (128u * 1024u)

/* A cache does not take the last room. */
#define LEAST_ROOM ((uint64_t)512 * 1024 * 1024)

/* Where it is kept, and what it is made of. */
struct kept {
	char *directory, *path; /* owned */
	unsigned char key[KEY];
};

static void
free_kept(struct kept *kept)
{
	free(kept->directory);
	free(kept->path);
}

static struct bkp_child_options
options_of(const struct bkp_pg_cluster *cluster, const char *const *argv)
{
	return (struct bkp_child_options){.argv = argv,
	    .env = cluster->env,
	    .directory = cluster->folder,
	    .user = cluster->user,
	    .cancel = bkp_run_cancel(cluster->run)};
}

static int
append(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	return fmt_buf_append(arg, data, len) == FMT_OK
		   ? 0
		   : bkp_fail_nomem(err, "keeping a cluster");
}

/* ---- what it is made of ---- */

static int
add_program(struct fmt_buf *facts, const char *path, struct bkp_error *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return bkp_fail_errno(err, errno, "%s", path);
	return fmt_buf_printf(facts, "%s %llu %llu %lld %lld.%09ld\n", path,
		   (unsigned long long)st.st_dev, (unsigned long long)st.st_ino,
		   (long long)st.st_size, (long long)st.st_mtim.tv_sec,
		   st.st_mtim.tv_nsec) == FMT_OK
		   ? 0
		   : bkp_fail_nomem(err, "keeping a cluster");
}

/* initdb makes a collation of each locale, and asks for them like this. */
static int
add_locales(const struct bkp_pg_cluster *cluster, struct fmt_buf *facts,
    struct bkp_error *err)
{
	static const char *const argv[] = {"locale", "-a", NULL};
	struct bkp_child_options options = options_of(cluster, argv);

	options.output = append;
	options.output_arg = facts;
	return bkp_child_run(&options, err);
}

static int
find_kept(const struct bkp_pg_cluster *cluster, struct kept *kept,
    struct bkp_error *err)
{
	struct fmt_buf facts = FMT_BUF_INIT;
	char name[2 * KEY + 1];
	unsigned char digest[KEY];
	int rc = -1;

	kept->directory = bkp_cache_directory("clusters", err);
	/* One file for each pair of these, whatever becomes of the rest. */
	if (kept->directory == NULL ||
	    fmt_buf_printf(&facts, "%s\n%s\n", cluster->superuser,
		cluster->initdb) != FMT_OK ||
	    fmt_sha256(facts.data, facts.len, digest) != FMT_OK ||
	    add_program(&facts, cluster->initdb, err) < 0 ||
	    add_program(&facts, cluster->postgres, err) < 0 ||
	    add_locales(cluster, &facts, err) < 0 ||
	    fmt_sha256(facts.data, facts.len, kept->key) != FMT_OK)
		goto out;
	fmt_hex(digest, sizeof(digest) / 2, name);
	kept->path = bkp_format(err, "%s/%s", kept->directory, name);
	rc = kept->path != NULL ? 0 : -1;
out:
	fmt_buf_free(&facts);
	return rc;
}

/* ---- out of the cache ---- */

static int
fail_kept(struct bkp_error *err)
{
	return bkp_fail(err, BKP_CORRUPT, "the cluster that was kept");
}

/* zstd knows by the frame's checksum that all of it is as it was. */
static int
unpack_into(struct bkp_child *child, const struct fmt_buf *bytes,
    ZSTD_DCtx *zstd, void *room, struct bkp_error *err)
{
	ZSTD_inBuffer in = {bytes->data, bytes->len, KEY};
	size_t left = 1;

	while (left > 0) {
		ZSTD_outBuffer out = {room, PORTION, 0};

		left = ZSTD_decompressStream(zstd, &out, &in);
		if (ZSTD_isError(left) ||
		    (left > 0 && out.pos == 0 && in.pos == in.size))
			return fail_kept(err);
		if (bkp_child_write(child, room, out.pos, err) < 0)
			return -1;
	}
	return in.pos == in.size ? bkp_child_finish(child, err)
				 : fail_kept(err);
}

static int
unpack(const struct bkp_pg_cluster *cluster, const struct kept *kept,
    struct bkp_error *err)
{
	static const char *const argv[] = {"tar", "-xpf", "-", NULL};
	struct bkp_child_options options = options_of(cluster, argv);
	struct fmt_buf bytes = FMT_BUF_INIT;
	struct bkp_child *child = NULL;
	ZSTD_DCtx *zstd = ZSTD_createDCtx();
	void *room = bkp_alloc(PORTION, err);
	int rc = -1;

	options.has_input = true;
	if (zstd == NULL || room == NULL ||
	    bkp_place_read_own(kept->path, &bytes, err) < 0)
		goto out;
	if (bytes.len < KEY || memcmp(bytes.data, kept->key, KEY) != 0)
		(void)fail_kept(err);
	else if (bkp_child_start(&options, &child, err) == 0)
		rc = unpack_into(child, &bytes, zstd, room, err);
out:
	bkp_child_free(child);
	fmt_buf_free(&bytes);
	ZSTD_freeDCtx(zstd);
	free(room);
	return rc;
}

/* ---- into it ---- */

struct packing {
	ZSTD_CCtx *zstd;
	struct fmt_buf bytes;
};

static int
compress(struct packing *packing, const void *data, size_t len,
    ZSTD_EndDirective how, struct bkp_error *err)
{
	ZSTD_inBuffer in = {data, len, 0};
	struct fmt_buf *bytes = &packing->bytes;
	size_t left;

	do {
		ZSTD_outBuffer out;

		if (fmt_buf_reserve(bytes, PORTION) != FMT_OK)
			return bkp_fail_nomem(err, "keeping a cluster");
		out = (ZSTD_outBuffer){bytes->data + bytes->len, PORTION, 0};
		left = ZSTD_compressStream2(packing->zstd, &out, &in, how);
		if (ZSTD_isError(left))
			return bkp_fail(err, BKP_IO, "keeping a cluster: %s",
			    ZSTD_getErrorName(left));
		bytes->len += out.pos;
	} while (how == ZSTD_e_end ? left > 0 : in.pos < in.size);
	return 0;
}

static int
take_packed(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	return compress(arg, data, len, ZSTD_e_continue, err);
}

static int
keep(const struct bkp_pg_cluster *cluster, const struct kept *kept,
    struct bkp_error *err)
{
	static const char *const argv[] = {"tar", "-cf", "-", "data", NULL};
	struct packing packing = {ZSTD_createCCtx(), FMT_BUF_INIT};
	struct bkp_child_options options = options_of(cluster, argv);
	int rc = -1;

	options.output = take_packed;
	options.output_arg = &packing;
	if (packing.zstd != NULL &&
	    !ZSTD_isError(ZSTD_CCtx_setParameter(
		packing.zstd, ZSTD_c_compressionLevel, 1)) &&
	    !ZSTD_isError(
		ZSTD_CCtx_setParameter(packing.zstd, ZSTD_c_checksumFlag, 1)) &&
	    fmt_buf_append(&packing.bytes, kept->key, KEY) == FMT_OK &&
	    bkp_child_run(&options, err) == 0 &&
	    compress(&packing, NULL, 0, ZSTD_e_end, err) == 0)
		rc = bkp_place_write(
		    kept->path, packing.bytes.data, packing.bytes.len, err);
	ZSTD_freeCCtx(packing.zstd);
	fmt_buf_free(&packing.bytes);
	return rc;
}

/* ---- both of it ---- */

static int
init(const struct bkp_pg_cluster *cluster, struct bkp_error *err)
{
	char *data = bkp_format(err, "%s/data", cluster->folder);
	const char *argv[] = {cluster->initdb, "-D", data, "-U",
	    cluster->superuser, "--auth=trust", "--encoding=UTF8", "--locale=C",
	    "--no-sync", NULL};
	struct bkp_child_options options = options_of(cluster, argv);
	int rc = -1;

	/* What was half unpacked. */
	bkp_temporary_remove(data);
	if (data != NULL)
		rc = bkp_child_run(&options, err);
	free(data);
	return rc;
}

int
bkp_pg_cluster_make(
    const struct bkp_pg_cluster *cluster, bool *is_kept, struct bkp_error *err)
{
	struct kept kept = {.path = NULL};
	struct bkp_error why = BKP_ERROR_INIT;
	int rc = 0;

	*is_kept = find_kept(cluster, &kept, &why) == 0 &&
		   unpack(cluster, &kept, &why) == 0;
	if (!*is_kept)
		rc = init(cluster, err);
	if (rc == 0 && !*is_kept && kept.path != NULL &&
	    bkp_place_has_room(kept.directory, LEAST_ROOM))
		(void)keep(cluster, &kept, &why);
	free_kept(&kept);
	return rc;
}

void
bkp_pg_cluster_forget(const struct bkp_pg_cluster *cluster)
{
	struct kept kept = {.path = NULL};

	if (find_kept(cluster, &kept, NULL) == 0)
		(void)unlink(kept.path);
	free_kept(&kept);
}
