/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/repository/process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/place.h"

/* The kernel's first namespace of processes: what runs there runs in no
 * container. */
#define FIRST_SPACE "pid:[4026531836]"
#define MACHINE_DIGITS 32

/* The first line of a small file; "" where it cannot be read. */
static void
read_line(const char *path, char *out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd >= 0 ? read(fd, out, size - 1) : -1;

	if (fd >= 0)
		(void)close(fd);
	out[len > 0 ? len : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

/* ---- which machine ---- */

static bool
is_digits(const char *text)
{
	return strlen(text) == MACHINE_DIGITS &&
	       strspn(text, "0123456789abcdef") == MACHINE_DIGITS;
}

/* Whole or not at all, and of several that begin at once one stays. */
static int
make_digits(const char *folder, const char *path, struct bkp_error *err)
{
	unsigned char random[MACHINE_DIGITS / 2];
	char digits[MACHINE_DIGITS + 1], *draft;
	int fd;

	if (RAND_bytes(random, sizeof(random)) != 1)
		return 0;
	draft = bkp_format(err, "%s/machine.XXXXXX", folder);
	if (draft == NULL)
		return -1;
	fmt_hex(random, sizeof(random), digits);
	fd = mkostemp(draft, O_CLOEXEC);
	if (fd >= 0) {
		if (dprintf(fd, "%s\n", digits) == MACHINE_DIGITS + 1 &&
		    fsync(fd) == 0)
			(void)!link(draft, path);
		(void)unlink(draft);
		(void)close(fd);
	}
	free(draft);
	return 0;
}

/* "" where this machine has no place for them. */
static int
read_digits(char out[MACHINE_DIGITS + 2], struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	char *folder = bkp_state_directory(NULL, &problem), *path = NULL;
	int rc = -1;

	out[0] = '\0';
	if (folder == NULL) {
		if (problem.code != BKP_NOMEM)
			return 0;
		return bkp_fail_nomem(err, "the machine's own digits");
	}
	path = bkp_format(err, "%s/machine", folder);
	if (path == NULL)
		goto out;
	read_line(path, out, MACHINE_DIGITS + 2);
	rc = 0;
	if (out[0] == '\0' && (rc = make_digits(folder, path, err)) == 0)
		read_line(path, out, MACHINE_DIGITS + 2);
out:
	free(folder);
	free(path);
	return rc;
}

/* "" where it cannot be told. Copies of a machine share all but the last of
 * these, containers of an image all but the first and the last. */
static int
tell_machine(const char *repository_id, char out[33], struct bkp_error *err)
{
	char digits[MACHINE_DIGITS + 2], id[64], product[64];
	unsigned char digest[32];
	struct utsname system;
	char *text;

	out[0] = '\0';
	if (read_digits(digits, err) < 0)
		return -1;
	if (!is_digits(digits) || uname(&system) < 0)
		return 0;
	read_line("/etc/machine-id", id, sizeof(id));
	read_line("/sys/class/dmi/id/product_uuid", product, sizeof(product));
	text = bkp_format(err, "%s\n%s\n%s\n%s\n%s\n", repository_id, digits,
	    id, system.nodename, product);
	if (text == NULL)
		return -1;
	if (fmt_sha256(text, strlen(text), digest) == FMT_OK)
		fmt_hex(digest, 16, out);
	free(text);
	return 0;
}

/* ---- which process ---- */

/* The last fields are counted from the end of the name, which may hold
 * anything. proc_pid_stat(5): 3 state, 20 threads, 22 start. */
static bool
read_stat(int64_t pid, uint64_t *start, bool *is_dead)
{
	char path[64], text[1024], state, *at;
	unsigned long long ticks;
	long threads;

	(void)snprintf(path, sizeof(path), "/proc/%" PRId64 "/stat", pid);
	read_line(path, text, sizeof(text));
	if ((at = strrchr(text, ')')) == NULL ||
	    sscanf(at + 1,
		" %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d "
		"%*d %*d %ld %*d %llu",
		&state, &threads, &ticks) != 3)
		return false;
	*start = ticks;
	/* Nobody has asked yet how it ended. */
	*is_dead = (state == 'Z' && threads <= 1) || state == 'X';
	return true;
}

/* Whether /proc speaks of the processes that kill() knows. */
static bool
is_own_proc(void)
{
	char target[32];
	ssize_t len = readlink("/proc/self", target, sizeof(target) - 1);

	target[len > 0 ? len : 0] = '\0';
	return strtol(target, NULL, 10) == (long)getpid();
}

int
bkp_process_self(
    const char *repository_id, struct fmt_process *out, struct bkp_error *err)
{
	struct fmt_process self = {.pid = (int64_t)getpid()};
	bool is_dead;
	ssize_t len;

	*out = (struct fmt_process){.pid = 0};
	len = readlink("/proc/self/ns/pid", self.space, sizeof(self.space) - 1);
	read_line(
	    "/proc/sys/kernel/random/boot_id", self.boot, sizeof(self.boot));
	if (len <= 0 || self.boot[0] == '\0' || !is_own_proc() ||
	    !read_stat(self.pid, &self.start, &is_dead))
		return 0;
	if (tell_machine(repository_id, self.machine, err) < 0)
		return -1;
	if (self.machine[0] != '\0')
		*out = self;
	return 0;
}

bool
bkp_process_is_gone(
    const struct fmt_process *self, const struct fmt_process *other)
{
	uint64_t start;
	bool is_dead;

	if (self->pid == 0 || other->pid == 0 ||
	    strcmp(self->machine, other->machine) != 0)
		return false;
	/* A container may be moved to another machine with all that it
	 * has, while the first one still runs. */
	if (strcmp(self->boot, other->boot) != 0)
		return strcmp(self->space, FIRST_SPACE) == 0 &&
		       strcmp(other->space, FIRST_SPACE) == 0;
	if (strcmp(self->space, other->space) != 0 ||
	    other->pid != (int64_t)(pid_t)other->pid)
		return false;
	/* Who may not see a process can still tell that there is one. */
	if (kill((pid_t)other->pid, 0) < 0 && errno == ESRCH)
		return true;
	return read_stat(other->pid, &start, &is_dead) &&
	       (is_dead || start != other->start);
}
