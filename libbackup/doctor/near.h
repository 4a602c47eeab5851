/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_DOCTOR_NEAR_H
#define LIBBACKUP_DOCTOR_NEAR_H

/* How far what is sent to an address goes, by the address alone: nobody is
 * asked, as names may mean something else tomorrow. */

enum bkp_nearness {
	BKP_NEARNESS_HERE,    /* stays on this machine */
	BKP_NEARNESS_PRIVATE, /* a name or an address that the internet has not:
				 of a compose network, a cluster, a house */
	BKP_NEARNESS_FAR
};

/* Of what follows "http://": "minio:9000/x", "[fd00::1]:9000". */
enum bkp_nearness bkp_exam_nearness(const char *authority);

#endif
