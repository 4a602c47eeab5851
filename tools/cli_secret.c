/* SPDX-License-Identifier: Apache-2.0 */
/* Passphrases from a file or from the person at the terminal. */
#include "tools/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

void
cli_secret_wipe(char secret[CLI_SECRET_SIZE])
{
	explicit_bzero(secret, CLI_SECRET_SIZE);
}

/* Everything until the end of the file. Not stdio: its buffer would keep a
 * copy. Returns the length, or -1 with errno; E2BIG where it is too long. */
static ssize_t
read_all(int fd, char secret[CLI_SECRET_SIZE])
{
	size_t len = 0;
	ssize_t n;

	for (;;) {
		n = read(fd, secret + len, CLI_SECRET_SIZE - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			return (ssize_t)len;
		len += (size_t)n;
		if (len == CLI_SECRET_SIZE) {
			errno = E2BIG;
			return -1;
		}
	}
}

int
cli_secret_read(
    const char *path, char secret[CLI_SECRET_SIZE], struct bkp_error *err)
{
	ssize_t len = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int sys = errno;

	if (fd >= 0) {
		len = read_all(fd, secret);
		sys = errno;
		(void)close(fd);
	}
	if (len < 0)
		return cli_error(
		    err, BKP_IO, sys, "reading the passphrase from %s", path);
	if (len > 0 && secret[len - 1] == '\n')
		len--;
	secret[len] = '\0';
	if (len == 0)
		return cli_error(err, BKP_INVALID, 0,
		    "the passphrase file %s is empty", path);
	if (strlen(secret) != (size_t)len || strchr(secret, '\n') != NULL) {
		cli_secret_wipe(secret);
		return cli_error(err, BKP_INVALID, 0,
		    "the passphrase file %s is not one line of text", path);
	}
	return 0;
}

bool
cli_secret_can_ask(void)
{
	int fd;

	if (!isatty(STDIN_FILENO))
		return false;
	fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return false;
	(void)close(fd);
	return true;
}

/* One line, by the byte. ppoll, unlike read, always returns on a signal, so
 * that Ctrl-C gets the echo back; `unblocked` is the signal mask for the wait,
 * outside of which the signals are blocked, so that none falls between the
 * question and the wait. Returns the length or -1 with errno. */
static ssize_t
read_line(int fd, const sigset_t *unblocked, char secret[CLI_SECRET_SIZE])
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	size_t len = 0;
	ssize_t n;

	for (;;) {
		if (ppoll(&ready, 1, NULL, unblocked) < 0)
			return -1;
		n = read(fd, secret + len, 1);
		if (n < 0)
			return -1;
		if (n == 0 || secret[len] == '\n')
			break;
		if (++len == CLI_SECRET_SIZE) {
			errno = E2BIG;
			return -1;
		}
	}
	secret[len] = '\0';
	return (ssize_t)len;
}

static void
put(int fd, const char *text)
{
	ssize_t n = write(fd, text, strlen(text));

	(void)n; /* nobody sees the question: the answer still counts */
}

int
cli_secret_ask(
    const char *prompt, char secret[CLI_SECRET_SIZE], struct bkp_error *err)
{
	struct termios before, silent;
	sigset_t stops, unblocked;
	ssize_t len = -1;
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC), sys = errno;

	if (fd < 0 || tcgetattr(fd, &before) < 0) {
		sys = fd < 0 ? sys : errno;
		goto out;
	}
	silent = before;
	silent.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	if (tcsetattr(fd, TCSAFLUSH, &silent) < 0) {
		sys = errno;
		goto out;
	}
	(void)sigemptyset(&stops);
	(void)sigaddset(&stops, SIGINT);
	(void)sigaddset(&stops, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &stops, &unblocked);
	put(fd, prompt);
	len = read_line(fd, &unblocked, secret);
	sys = errno;
	(void)sigprocmask(SIG_SETMASK, &unblocked, NULL);
	(void)tcsetattr(fd, TCSAFLUSH, &before);
	put(fd, "\n");
out:
	if (fd >= 0)
		(void)close(fd);
	if (len >= 0)
		return 0;
	cli_secret_wipe(secret);
	if (sys == EINTR)
		return cli_error(err, BKP_CANCELLED, 0,
		    "stopped while asking for the passphrase");
	return cli_error(err, BKP_IO, sys, "asking for the passphrase");
}
