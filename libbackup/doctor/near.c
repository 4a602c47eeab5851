/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/doctor/near.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define HOST_SIZE 256 /* the longest name that DNS has */

/* ---- addresses ---- */

struct range {
	uint32_t first;
	unsigned bits;
};

static bool
is_in(uint32_t address, const struct range *range)
{
	return (address ^ range->first) >> (32 - range->bits) == 0;
}

/* RFC 1918; RFC 6598, which networks laid over others use, too; and RFC 3927,
 * which no router passes on. */
static enum bkp_nearness
of_four(uint32_t address)
{
	static const struct range loopback = {0x7f000000, 8};
	static const struct range private[] = {{0x0a000000, 8},
	    {0xac100000, 12}, {0xc0a80000, 16}, {0x64400000, 10},
	    {0xa9fe0000, 16}};

	if (is_in(address, &loopback))
		return BKP_NEARNESS_HERE;
	for (size_t i = 0; i < sizeof(private) / sizeof(private[0]); i++)
		if (is_in(address, &private[i]))
			return BKP_NEARNESS_PRIVATE;
	return BKP_NEARNESS_FAR;
}

static enum bkp_nearness
of_six(const struct in6_addr *address)
{
	uint32_t four;

	if (IN6_IS_ADDR_LOOPBACK(address))
		return BKP_NEARNESS_HERE;
	if (IN6_IS_ADDR_V4MAPPED(address)) {
		memcpy(&four, &address->s6_addr[12], sizeof(four));
		return of_four(ntohl(four));
	}
	if ((address->s6_addr[0] & 0xfe) == 0xfc ||
	    IN6_IS_ADDR_LINKLOCAL(address))
		return BKP_NEARNESS_PRIVATE;
	return BKP_NEARNESS_FAR;
}

/* ---- names ---- */

static bool
ends_with(const char *name, const char *end)
{
	size_t len = strlen(name), tail = strlen(end);

	return len >= tail && strcasecmp(name + len - tail, end) == 0;
}

static enum bkp_nearness
of_name(const char *name)
{
	/* RFC 6762, RFC 8375, what ICANN keeps free, and clusters' own. */
	static const char *const private[] = {
	    ".local", ".home.arpa", ".internal", ".svc", NULL};

	if (strcasecmp(name, "localhost") == 0 || ends_with(name, ".localhost"))
		return BKP_NEARNESS_HERE;
	if (strchr(name, '.') == NULL)
		return *name != '\0' ? BKP_NEARNESS_PRIVATE : BKP_NEARNESS_FAR;
	for (size_t i = 0; private[i] != NULL; i++)
		if (ends_with(name, private[i]))
			return BKP_NEARNESS_PRIVATE;
	return BKP_NEARNESS_FAR;
}

/* ---- the host ---- */

/* Without a user before it, a port behind it, and brackets around it. */
static bool
copy_host(const char *authority, char host[HOST_SIZE])
{
	size_t len = strcspn(authority, "/?#");
	const char *at = memrchr(authority, '@', len);
	const char *begin = at != NULL ? at + 1 : authority;

	len -= (size_t)(begin - authority);
	if (*begin == '[')
		len = strcspn(++begin, "]%");
	else if (memchr(begin, ':', len) != NULL)
		len = strcspn(begin, ":");
	if (len > 0 && begin[len - 1] == '.')
		len--;
	if (len >= HOST_SIZE)
		return false;
	(void)snprintf(host, HOST_SIZE, "%.*s", (int)len, begin);
	return true;
}

enum bkp_nearness
bkp_exam_nearness(const char *authority)
{
	char host[HOST_SIZE];
	struct in6_addr six;
	struct in_addr four;

	if (!copy_host(authority, host))
		return BKP_NEARNESS_FAR;
	if (inet_pton(AF_INET6, host, &six) == 1)
		return of_six(&six);
	if (inet_aton(host, &four) != 0)
		return of_four(ntohl(four.s_addr));
	return of_name(host);
}
