/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/status.h"

const char *
fmt_status_text(enum fmt_status status)
{
	switch (status) {
	case FMT_OK:
		return "no error";
	case FMT_NOMEM:
		return "out of memory";
	case FMT_MALFORMED:
		return "not in the expected format";
	case FMT_TRUNCATED:
		return "ends too early";
	case FMT_UNSUPPORTED:
		return "written by a newer version, or of a kind that is not known here";
	case FMT_AUTH:
		return "was altered or damaged (authentication failed)";
	case FMT_NOMATCH:
		return "no key given opens it";
	case FMT_LIMIT:
		return "asks for more than is accepted";
	case FMT_CRYPTO:
		return "the cryptographic library refused";
	}
	return "unknown status";
}
