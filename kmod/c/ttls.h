/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The module's own structures, and who may touch them. */
#ifndef TTLS_H
#define TTLS_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <linux/workqueue.h>
#include <net/tcp.h>
#include "core.h"

#ifndef HAVE_TIMER_DELETE
#define timer_delete del_timer
#endif
/* Where it is not named, it is what queues are without WQ_UNBOUND. */
#ifndef HAVE_WQ_PERCPU
#define WQ_PERCPU 0
#endif

/* What must hold whatever arrives. Looked at in the tests' builds, and in kernels that look at such things. */
#if defined(TTLS_DEBUG) || defined(CONFIG_DEBUG_NET)
#define ttls_assert(condition)	((void)WARN_ON_ONCE(!(condition)))
#else
#define ttls_assert(condition)	BUILD_BUG_ON_INVALID(!(condition))
#endif

/* A configuration, from one TTLS_C_CONFIGURE to the next. Handshakes keep theirs. */
struct ttls_site {
	struct kref ref;
	void *core;
	u8 *memory;
	size_t memory_size;
	u32 timeout;			/* milliseconds */
	u32 max_pending;
	u32 max_pending_listener;
	struct sk_buff *listing;	/* attributes that TTLS_C_LIST answers with */
};

/* A network namespace. Outlives it as long as handshakes refer to it. */
struct ttls_space {
	struct kref ref;
	struct ttls_site __rcu *site;
	struct mutex replacing;		/* site is replaced under it */
	struct delayed_work tickets;
	atomic_long_t counters[TTLS_COUNTERS];
};

/* What icsk_ulp_data points to. */
struct ttls_base {
	bool listener;
};

struct ttls_listener {
	struct ttls_base base;
	struct kref ref;
	struct rcu_head rcu;
	struct sock *sk;
	struct ttls_space *space;
	spinlock_t lock;		/* the fields below; taken inside a child's socket lock */
	struct list_head pending;	/* those with a place, the oldest first */
	struct list_head ending;	/* those that wait for end_work() */
	u32 pending_count;		/* places taken */
	bool closed;
	bool looked;			/* at what shares its port; set by whoever does it, at worst twice */
	unsigned long since;		/* jiffies */
};

enum ttls_state {
	TTLS_RECEIVING,			/* reads records as they arrive */
	TTLS_WORKING,			/* the core's part belongs to the worker */
	TTLS_ENDING,			/* end_work() is on its way */
	TTLS_DONE,			/* in the accept queue, or accepted */
	TTLS_DEAD,
};

/*
 * A handshake. While it is in one of its listener's lists, that list owns a reference to the socket and one to the
 * child; who takes it off the list takes these over.
 */
struct ttls_child {
	struct ttls_base base;
	struct kref ref;
	enum ttls_state state;		/* under the socket's lock */
	struct sock *sk;
	struct ttls_listener *listener;
	struct ttls_space *space;
	struct ttls_site *site;
	struct list_head node;
	bool has_place;			/* under the listener's lock, as node is */
	struct timer_list timer;
	struct work_struct end;
	struct llist_node queued;
	unsigned long is_queued;
	gfp_t allocation;		/* the socket's own, as is the next */
	bool use_task_frag;
	struct ttls_established established;
	u8 core[] __aligned(16);
};

/* Bits of an accepted connection's flags. */
enum {
	TTLS_CONTROL_LOCK,		/* a lock: who takes what is not data off the queue */
	TTLS_EOF_READ,			/* the peer sends nothing more, or nothing that counts */
	TTLS_RESET_DUE,			/* the next read is to fail with ECONNRESET */
	TTLS_CLOSE_SENT,		/* nothing more may be sent */
	TTLS_ANSWER_DUE,		/* a KeyUpdate has to go before the next record of data */
	TTLS_WAKE_DUE,			/* a record is ready that nobody was woken for since the last read */
};

/* An accepted connection. */
struct ttls_socket {
	struct sock *sk;
	struct ttls_space *space;
	struct ttls_info info;
	unsigned long flags;
	int lowat;			/* SO_RCVLOWAT, of plaintext */
	void (*data_ready)(struct sock *sk);	/* kTLS's */
	/*
	 * Order of what is sent: nothing else passes between a KeyUpdate and the keys that it announces. Held for as
	 * long as it takes to make records, never while TCP has no room.
	 */
	struct mutex sending;
	struct delayed_work flush;	/* sends a record that MSG_MORE left open */
	/* Under sending, in bytes of plaintext: the record plan. */
	u32 in_a_row;			/* sent since the last silence */
	u32 planned;			/* of the record that is made now */
	u32 open;			/* of them, in the record that was left open */
#ifdef HAVE_REKEY
	u8 receive_secret[TTLS_SECRET];	/* under TTLS_CONTROL_LOCK */
	u8 send_secret[TTLS_SECRET];	/* under sending */
	struct ttls_allowance allowance;	/* for KeyUpdates; under TTLS_CONTROL_LOCK */
#endif
};

/*
 * The operations of an address family. Those that are not the module's own are remembered when it first needs them,
 * and stay what they are: most are not exported.
 */
struct ttls_family {
	/* A listener's: the kernel's, and copies with one of them replaced. */
	const struct proto_ops *inet_ops;
	const struct inet_connection_sock_af_ops *af_ops;
	struct proto_ops listener_ops;
	struct inet_connection_sock_af_ops listener_af_ops;
	/* Of a connection in the accept queue: TCP's, and a copy. */
	struct proto *tcp;
	struct proto guard;
	/* An accepted connection's: kTLS's, and copies. */
	const struct proto *tls;
	const struct proto_ops *tls_ops;
	struct proto socket;
	struct proto_ops socket_ops;
};

extern struct ttls_family ttls_families[2];

/* IPv4 and IPv6 have their own operations throughout. */
static inline struct ttls_family *ttls_family_of(const struct sock *sk)
{
	return &ttls_families[sk->sk_family == AF_INET6];
}

static inline struct ttls_socket *ttls_socket_of(const struct sock *sk)
{
	return (void *)sk->sk_user_data;
}

/* TLS content types. */
enum { TTLS_ALERT = 21, TTLS_HANDSHAKE = 22, TTLS_DATA = 23 };

extern struct kmem_cache *ttls_children;
extern struct workqueue_struct *ttls_wq;
extern rwlock_t ttls_ticket_lock;

static inline void ttls_count(struct ttls_space *space, enum ttls_counter counter, long n)
{
	atomic_long_add(n, &space->counters[counter]);
}

/* control.c */
int ttls_control_init(void);
void ttls_control_exit(void);
struct ttls_space *ttls_space_get(struct net *net);
void ttls_space_put(struct ttls_space *space);
struct ttls_site *ttls_site_get(struct ttls_space *space);
void ttls_site_put(struct ttls_site *site);

/* listener.c */
extern struct tcp_ulp_ops ttls_ulp_ops;
extern void (*ttls_data_ready)(struct sock *sk);
void ttls_listener_put(struct ttls_listener *listener);

/* child.c */
int ttls_child_prepare(unsigned int cpu);
void ttls_child_dead(unsigned int cpu);
int ttls_child_init(void);
void ttls_child_exit(void);
struct ttls_child *ttls_child_new(struct ttls_listener *listener, struct ttls_site *site);
void ttls_child_put(struct ttls_child *child);
void ttls_child_adopt(struct ttls_child *child, struct sock *sk);
void ttls_child_begin(struct ttls_child *child);
void ttls_child_progress(struct ttls_child *child);
void ttls_child_apply(struct ttls_child *child, struct ttls_turn *turn, int result);
void ttls_child_end_locked(struct ttls_child *child);
struct ttls_child *ttls_child_of(const struct sock *sk);

/* request.c */
struct request_sock *ttls_request_new(struct sock *lsk, struct sock *sk);
void ttls_request_free(struct request_sock *req);

/* worker.c */
int ttls_worker_prepare(unsigned int cpu);
void ttls_worker_dead(unsigned int cpu);
int ttls_worker_init(void);
void ttls_worker_exit(void);
void ttls_worker_queue(struct ttls_child *child);

/* guard.c */
int ttls_guard_result(struct sock *sk);
void ttls_guard_learn(const struct sock *sk);
void ttls_guard(struct sock *sk);

/* socket.c */
int ttls_socket_open(struct socket *sock, struct ttls_child *child);
void ttls_socket_exit(void);

/* send.c */
void ttls_send_init(struct ttls_socket *socket);
void ttls_send_learn(struct proto *prot);
int ttls_send_record(struct sock *sk, u8 type, const void *content, size_t len, unsigned int flags);
void ttls_send_flush(struct sock *sk);
void ttls_send_last(struct sock *sk, u8 level, u8 description);

/* receive.c */
void ttls_receive_init(struct sock *sk, struct ttls_socket *socket);
void ttls_receive_learn(struct proto *prot, struct proto_ops *ops);

/* keys.c */
void ttls_keys_hush(struct module *tls);
int ttls_keys_install(struct sock *sk, int direction, u16 version, const struct ttls_direction *keys);
int ttls_keys_replace(struct sock *sk, int direction, const struct ttls_direction *keys);

/* key_update.c */
#ifdef HAVE_REKEY
static inline bool ttls_key_update_possible(const struct ttls_socket *socket)
{
	return socket->info.version == 0x0304;
}

int ttls_key_update_due(struct sock *sk, struct ttls_socket *socket, unsigned int flags);
bool ttls_key_update_pending(const struct sock *sk);
int ttls_key_update_received(struct sock *sk, struct ttls_socket *socket, const u8 *message, size_t len);
#else
static inline bool ttls_key_update_possible(const struct ttls_socket *socket)
{
	return false;
}

static inline int ttls_key_update_received(struct sock *sk, struct ttls_socket *socket, const u8 *message, size_t len)
{
	return 0;
}

static inline int ttls_key_update_due(struct sock *sk, struct ttls_socket *socket, unsigned int flags)
{
	return 0;
}

static inline bool ttls_key_update_pending(const struct sock *sk)
{
	return false;
}
#endif

#endif
