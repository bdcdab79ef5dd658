/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What programs see: the socket option, and the generic-netlink family "ttls". */
#ifndef TTLS_UAPI_H
#define TTLS_UAPI_H

#include <linux/types.h>

/* getsockopt(fd, SOL_TLS, TTLS_INFO, &info, &len) on an accepted connection. Texts end with a zero. */
#define TTLS_INFO 1001

struct ttls_info {
	__u16 version;		/* 0x0303: TLS 1.2, 0x0304: TLS 1.3 */
	__u16 suite;		/* IANA code */
	__u16 group;		/* IANA code; 0 in a TLS 1.2 resumption */
	__u16 record_limit;	/* most bytes in a record that the client takes */
	__u8 resumed;
	__u8 reserved[3];
	char alpn[36];
	char fingerprint[40];	/* JA4 */
	char server_name[256];
};

#define TTLS_FAMILY "ttls"
#define TTLS_FAMILY_VERSION 1

enum ttls_command {
	TTLS_C_UNSPEC,
	TTLS_C_CONFIGURE,	/* replaces the configuration of the network namespace; CAP_NET_ADMIN */
	TTLS_C_REMOVE,		/* removes it; CAP_NET_ADMIN */
	TTLS_C_LIST,		/* answers with certificates (names only) and limits */
	TTLS_C_STATISTICS,	/* answers with the counters */
};

enum ttls_attribute {
	TTLS_A_UNSPEC,
	TTLS_A_CERTIFICATE,	/* nested, once for each certificate */
	TTLS_A_CHAIN,		/* list of CertificateEntry (RFC 8446 section 4.4.2), leaf first */
	TTLS_A_KEY,		/* private key in DER */
	TTLS_A_KEY_ENCODING,	/* u8: 0 PKCS#8, 1 SEC 1, 2 PKCS#1 */
	TTLS_A_NAMES,		/* server names in lower case, each ended by a zero */
	TTLS_A_OCSP,		/* OCSPResponse in DER */
	TTLS_A_DEFAULT,		/* flag: answers clients that ask for no name, or an unknown one */
	TTLS_A_TICKET_SECRET,	/* 32 bytes or more; without it no tickets */
	TTLS_A_TICKET_SECRET_BEFORE,
	TTLS_A_TICKET_LIFETIME,	/* u32: seconds */
	TTLS_A_TICKETS,		/* u32: per full TLS 1.3 handshake */
	TTLS_A_FLAGS,		/* u32: enum ttls_flag */
	TTLS_A_SUITES,		/* IANA codes, each two bytes in network order */
	TTLS_A_GROUPS,		/* IANA codes, each two bytes in network order */
	TTLS_A_ALPN,		/* protocol names, each after its length in a byte */
	TTLS_A_HANDSHAKE_TIMEOUT,	/* u32: milliseconds */
	TTLS_A_MAX_PENDING,	/* u32: handshakes under way in the namespace */
	TTLS_A_MAX_PENDING_LISTENER,	/* u32: handshakes under way for one listening socket */
	TTLS_A_COUNTERS,	/* array of u64, in the order of enum ttls_counter */
	__TTLS_A_MAX,
};

enum ttls_flag {
	TTLS_TLS12 = 1,
	TTLS_TLS13 = 2,
	TTLS_REFUSE_UNKNOWN_NAMES = 4,
	TTLS_ALPN_REQUIRED = 8,
	TTLS_CLIENT_ORDER = 16,
	TTLS_REQUIRE_EMS = 32,
};

enum ttls_counter {
	/* Now. */
	TTLS_N_LISTENERS,
	TTLS_N_PENDING,		/* handshakes under way */
	TTLS_N_CONTEXTS,	/* handshake contexts in memory */
	TTLS_N_CONNECTIONS,	/* accepted, and not closed yet */
	/* Since the namespace began. */
	TTLS_N_FULL,
	TTLS_N_RESUMED,
	TTLS_N_ACCEPTED,
	TTLS_N_FAILED_PEER,
	TTLS_N_FAILED_MISMATCH,
	TTLS_N_FAILED_LOCAL,
	TTLS_N_TIMED_OUT,
	TTLS_N_CLOSED,		/* gone before the handshake's end */
	TTLS_N_REFUSED,		/* over a limit, or out of memory */
	TTLS_N_CONTAINED_PANICS,
	TTLS_N_BATCHES,
	TTLS_N_BATCHED,		/* connections in those batches */
	/* Now. */
	TTLS_N_ENDING,		/* failed handshakes whose sockets are still to be closed */
	TTLS_COUNTERS,
};

#endif
