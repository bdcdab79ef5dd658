/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The border to the Rust half: what src/abi.rs declares on the other side.
 * tests/kernel_border.rs compares both, name by name; ttls_layout lets the module check at load that it was built of
 * the same.
 */
#ifndef TTLS_CORE_H
#define TTLS_CORE_H

#include <linux/types.h>
#include "uapi.h"

/* Connections in one entry of the worker. */
#define TTLS_BATCH		16
/* Most bytes that the server sends in one flight, certificates included. */
#define TTLS_FLIGHT		16384
/* A kept part of a cut message, and a record of the greatest length. */
#define TTLS_INPUT		(2048 + 5 + 16384 + 256)

/* The longest traffic secret; shorter ones are followed by zeros. */
#define TTLS_SECRET		48

enum ttls_door {
	TTLS_SELF_TEST,		/* ttls_worker_size bytes, begun; returns the number of the failed test */
	TTLS_MEASURE,		/* struct ttls_configuration: sets memory_size; or returns a ttls_refusal */
	TTLS_BUILD,		/* struct ttls_configuration: sets site; -EAGAIN: not yet; or a ttls_refusal */
	TTLS_ADVANCE,		/* struct ttls_advance, alone on its site */
	TTLS_BEGIN,		/* ttls_worker_size bytes; returns what will compute: see worker.c */
	TTLS_RECEIVE,		/* struct ttls_turn */
	TTLS_RUN,		/* struct ttls_run */
	TTLS_KEY_UPDATE,	/* struct ttls_key_update */
	TTLS_NEXT_KEYS,		/* struct ttls_next_keys */
	TTLS_RECORD_SIZE,	/* struct ttls_record */
	TTLS_PANIC,		/* a number over 3: panics */
};

struct ttls_call {
	u32 door;
	s32 result;
	void *argument;
};

struct ttls_bytes {
	const u8 *data;
	size_t len;
};

struct ttls_certificate {
	struct ttls_bytes chain, key, names, ocsp;
	u32 key_encoding;
	u32 is_default;
};

struct ttls_configuration {
	const struct ttls_certificate *certificates;
	size_t certificate_count;
	struct ttls_bytes ticket_secret, ticket_secret_before;
	struct ttls_bytes suites, groups, alpn;
	u64 now;		/* Unix time in milliseconds */
	u32 ticket_lifetime;	/* seconds */
	u32 tickets;
	u32 flags;
	u32 flight_size;
	u8 *memory;		/* TTLS_BUILD moves it past what it has used, with its size */
	size_t memory_size;
	void *entries;		/* TTLS_BUILD's, zero before its first call */
	size_t entry_count;
	void *site;
};

enum ttls_refusal {
	TTLS_NO_CERTIFICATE = 1,
	TTLS_BAD_KEY,
	TTLS_BAD_CHAIN,
	TTLS_BAD_NAME,
	TTLS_BAD_TICKET_SECRET,
	TTLS_BAD_POLICY,
	TTLS_LONG_FLIGHT,
	TTLS_NO_MEMORY,
	TTLS_MANY_NAMES,
};

struct ttls_advance {
	void *site;
	u64 now;
};

enum ttls_cipher {
	TTLS_CIPHER_AES128_GCM,
	TTLS_CIPHER_AES256_GCM,
	TTLS_CIPHER_CHACHA20_POLY1305,
};

/* Keys of one direction, for kTLS. */
struct ttls_direction {
	u8 key[32];
	u8 iv[12];
	u32 cipher;		/* enum ttls_cipher */
	u64 sequence;
	u8 secret[TTLS_SECRET];	/* TLS 1.3: the traffic secret, from which the next one comes */
};

/* What a client may still send that carries no data: tls/src/allowance.rs. All of it where it is zeros. */
struct ttls_allowance {
	u64 grown;
	u32 used;
};

/* The content of a handshake record on an established connection of TLS 1.3. */
struct ttls_key_update {
	struct ttls_bytes message;
	u64 now;		/* ms of a clock that does not step back */
	struct ttls_allowance allowance;	/* in, and result */
	u32 requested;		/* result: the peer asks for a KeyUpdate in return */
	u32 alert;		/* result: the alert to end with, 0 if the keys are to be renewed */
};

struct ttls_next_keys {
	struct ttls_direction direction;	/* in: its secret; result: all of it, after a KeyUpdate */
	u32 suite;		/* IANA code */
};

/* The next record: the record plan of tls/src/record_size.rs. */
struct ttls_record {
	u32 congestion_window;	/* segments */
	u32 in_flight;		/* segments */
	u32 segment;		/* bytes, as all below without a unit */
	u32 unsent;
	u32 send_window;	/* from the oldest unacknowledged byte on */
	u32 idle;		/* ms since data was sent */
	u32 timeout;		/* ms, for retransmission */
	u32 in_a_row;		/* plaintext since the last silence; result: 0 if there was one */
	u32 overhead;
	u32 limit;		/* plaintext */
	u32 size;		/* result: plaintext */
};

struct ttls_established {
	struct ttls_direction receive, send;
	struct ttls_info info;
};

enum ttls_step {
	TTLS_STEP_RECEIVE,	/* wait for the next record */
	TTLS_STEP_WORK,		/* public-key work is due */
	TTLS_STEP_ESTABLISHED,	/* done; the output may hold tickets */
	TTLS_STEP_FAILED,	/* done; the output may hold an alert */
};

/* Who made a handshake fail. */
enum ttls_culprit {
	TTLS_CULPRIT_PEER,
	TTLS_CULPRIT_MISMATCH,	/* too little in common */
	TTLS_CULPRIT_LOCAL,	/* this side */
};

/* One call for one connection: a record in, a flight out. */
struct ttls_turn {
	void *connection;	/* ttls_connection_size bytes, zeroed before the first turn */
	const void *site;
	u64 now;		/* Unix time in milliseconds */
	u8 *input;		/* TTLS_RECEIVE: begins with a complete record */
	u32 input_size;
	u32 input_len;
	u8 *output;
	u32 output_size;
	u32 output_len;
	u32 step;
	u32 culprit;		/* enum ttls_culprit, of a failed handshake */
	struct ttls_established *established;
};

struct ttls_run {
	void *worker;
	struct ttls_turn *turns;
	size_t count;
};

/* What Rust calls. */
void ttls_random(u8 *out, size_t len);
void __noreturn ttls_panicked(const u8 *file, size_t len, u32 line);

/* enter.S: runs the call on the stack that ends at top. */
void ttls_enter(struct ttls_call *call, void *top);

extern const size_t ttls_connection_size, ttls_worker_size, ttls_layout[7];

int ttls_core_prepare(unsigned int cpu);
void ttls_core_dead(unsigned int cpu);
int ttls_core_check(void);
int ttls_call(enum ttls_door door, void *argument);

#endif
