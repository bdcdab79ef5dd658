// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * A connection from the end of TCP's handshake to the accept queue. Until it is accepted it has no struct
 * socket, so nothing here may need one.
 */
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <asm/fpu/api.h>
#include "ttls.h"

#define RECORD_HEADER	5
#define MAX_RECORD	(RECORD_HEADER + 16384 + 256)

struct kmem_cache *ttls_children;

/* What one turn in a softirq needs. */
struct buffers {
	u8 input[TTLS_INPUT];
	u8 output[TTLS_FLIGHT];
};

static DEFINE_PER_CPU(struct buffers *, buffers);

static void child_free(struct kref *ref)
{
	struct ttls_child *child = container_of(ref, struct ttls_child, ref);

	ttls_count(child->space, TTLS_N_CONTEXTS, -1);
	ttls_site_put(child->site);
	ttls_space_put(child->space);
	ttls_listener_put(child->listener);
	memzero_explicit(child, sizeof(*child) + ttls_connection_size);
	kmem_cache_free(ttls_children, child);
}

void ttls_child_put(struct ttls_child *child)
{
	kref_put(&child->ref, child_free);
}

struct ttls_child *ttls_child_of(const struct sock *sk)
{
	struct ttls_base *base = rcu_dereference_raw(inet_csk(sk)->icsk_ulp_data);

	return base && !base->listener ? container_of(base, struct ttls_child, base) : NULL;
}

/* Gives the child's place back to its listener, whose lock is held. */
static void child_vacate(struct ttls_child *child)
{
	lockdep_assert_held(&child->listener->lock);
	child->has_place = false;
	child->listener->pending_count--;
	ttls_count(child->space, TTLS_N_PENDING, -1);
}

/* Takes the child off its listener's lists. Who gets true owns what the list owned. */
static bool child_unlist(struct ttls_child *child)
{
	struct ttls_listener *listener = child->listener;
	bool was = false;

	spin_lock_bh(&listener->lock);
	if (!list_empty(&child->node)) {
		list_del_init(&child->node);
		if (child->has_place)
			child_vacate(child);
		else
			ttls_count(child->space, TTLS_N_ENDING, -1);
		was = true;
	}
	spin_unlock_bh(&listener->lock);
	return was;
}

static void no_write_space(struct sock *sk)
{
}

/*
 * Where the memory for what a child sends comes from. Its flights leave from softirqs, where current is whoever was
 * interrupted, perhaps in the middle of a send of its own: current->task_frag is never theirs to use. Up to Linux 6.1
 * sk_page_frag() goes by sk_allocation, from then on by a field.
 */
static void own_memory(struct ttls_child *child, struct sock *sk)
{
	child->allocation = sk->sk_allocation;
	sk->sk_allocation = GFP_ATOMIC;
#ifdef HAVE_USE_TASK_FRAG
	child->use_task_frag = sk->sk_use_task_frag;
	sk->sk_use_task_frag = false;
#endif
}

/* The child sends nothing more by itself. */
static void return_memory(struct ttls_child *child)
{
	child->sk->sk_allocation = child->allocation;
#ifdef HAVE_USE_TASK_FRAG
	child->sk->sk_use_task_frag = child->use_task_frag;
#endif
}

static void child_unhook(struct ttls_child *child)
{
	struct sock *sk = child->sk, *lsk = child->listener->sk;

	write_lock_bh(&sk->sk_callback_lock);
	sk->sk_data_ready = ttls_data_ready;
	sk->sk_state_change = lsk->sk_state_change;
	sk->sk_write_space = lsk->sk_write_space;
	write_unlock_bh(&sk->sk_callback_lock);
	return_memory(child);
}

/* Unread bytes would make the close a reset, and the peer would lose the alert that explains it. */
static int child_discard(read_descriptor_t *desc, struct sk_buff *skb, unsigned int offset, size_t len)
{
	return len;
}

static void child_end_work(struct work_struct *work)
{
	struct ttls_child *child = container_of(work, struct ttls_child, end);
	struct sock *sk = child->sk;
	read_descriptor_t desc = { .count = 1 };
	bool dies = false;

	lock_sock(sk);
	if (child->state < TTLS_DONE) {
		child->state = TTLS_DEAD;
		child_unhook(child);
		if (sk->sk_state == TCP_ESTABLISHED || sk->sk_state == TCP_CLOSE_WAIT)
			tcp_read_sock(sk, &desc, child_discard);
		dies = true;
	}
	release_sock(sk);
	if (dies && child_unlist(child)) {
		if (timer_delete(&child->timer))
			ttls_child_put(child);
		sk->sk_prot->close(sk, 0);
		ttls_child_put(child);
		sock_put(sk);
	}
	ttls_child_put(child);
	sock_put(sk);
}

/*
 * Ends a child in process context: its own callbacks can not. Its place is free at once, however long that takes. The
 * listener's lock is held.
 */
void ttls_child_end_locked(struct ttls_child *child)
{
	lockdep_assert_held(&child->listener->lock);
	if (list_empty(&child->node))
		return;
	if (child->has_place) {
		child_vacate(child);
		list_move_tail(&child->node, &child->listener->ending);
		ttls_count(child->space, TTLS_N_ENDING, 1);
	}
	/* In the list, so both are alive. */
	kref_get(&child->ref);
	sock_hold(child->sk);
	if (!queue_work(ttls_wq, &child->end)) {
		ttls_child_put(child);
		sock_put(child->sk);
	}
}

static void child_end(struct ttls_child *child)
{
	spin_lock_bh(&child->listener->lock);
	ttls_child_end_locked(child);
	spin_unlock_bh(&child->listener->lock);
}

/* Ends a child that reads nothing more. The socket's lock is held. */
static void child_give_up(struct ttls_child *child, enum ttls_counter reason)
{
	sock_owned_by_me(child->sk);
	child->state = TTLS_ENDING;
	ttls_count(child->space, reason, 1);
	child_end(child);
}

static void child_timed_out(struct timer_list *timer)
{
	struct ttls_child *child = container_of(timer, struct ttls_child, timer);

	if (READ_ONCE(child->state) < TTLS_DONE) {
		ttls_count(child->space, TTLS_N_TIMED_OUT, 1);
		child_end(child);
	}
	ttls_child_put(child);
}

/* Puts the child where accept() finds it. False if its listener listens no more. */
static bool child_enqueue(struct ttls_child *child)
{
	struct sock *lsk = child->listener->sk, *sk = child->sk;
	struct request_sock_queue *queue = &inet_csk(lsk)->icsk_accept_queue;
	struct request_sock *req = ttls_request_new(lsk, sk);
	bool listens;

	if (!req)
		return false;
	spin_lock(&queue->rskq_lock);
	listens = lsk->sk_state == TCP_LISTEN;
	if (listens) {
		if (!queue->rskq_accept_head)
			WRITE_ONCE(queue->rskq_accept_head, req);
		else
			queue->rskq_accept_tail->dl_next = req;
		queue->rskq_accept_tail = req;
		sk_acceptq_added(lsk);
	}
	spin_unlock(&queue->rskq_lock);
	if (!listens)
		ttls_request_free(req);
	return listens;
}

static void child_finish(struct ttls_child *child)
{
	struct sock *sk = child->sk;
	bool resumed = child->established.info.resumed;

	/* From here the list's references are ours, unless the end was quicker. */
	if (!child_unlist(child))
		return;
	child->state = TTLS_DONE;
	child_unhook(child);
	ttls_guard(sk);
	/* What is left is not needed: the keys are in child->established. */
	memzero_explicit(child->core, ttls_connection_size);
	if (timer_delete(&child->timer))
		ttls_child_put(child);
	sock_hold(sk);
	if (child_enqueue(child)) {
		ttls_count(child->space, resumed ? TTLS_N_RESUMED : TTLS_N_FULL, 1);
		ttls_data_ready(child->listener->sk);
		ttls_child_put(child);
		sock_put(sk);
	} else {
		/* Back to where its end looks for it. */
		child->state = TTLS_ENDING;
		ttls_count(child->space, TTLS_N_ENDING, 1);
		spin_lock_bh(&child->listener->lock);
		list_add_tail(&child->node, &child->listener->ending);
		ttls_child_end_locked(child);
		spin_unlock_bh(&child->listener->lock);
	}
	sock_put(sk);
}

/*
 * Where tcp_sendmsg_locked() without memory notes that it would wait, even if it must not: in the struct socket,
 * which no child has.
 */
static struct socket_alloc nowhere;

static bool child_send_flight(struct sock *sk, u8 *data, u32 len)
{
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL };
	struct kvec vec = { data, len };
	int sent;

	if (sk_stream_wspace(sk) < (int)len)
		return false;
	ttls_assert(sk_page_frag(sk) == &sk->sk_frag);
	iov_iter_kvec(&msg.msg_iter, 1 /* WRITE, ITER_SOURCE */, &vec, 1, len);
	sk_set_socket(sk, &nowhere.socket);
	rcu_assign_pointer(sk->sk_wq, &nowhere.socket.wq);
	sent = tcp_sendmsg_locked(sk, &msg, len);
	RCU_INIT_POINTER(sk->sk_wq, NULL);
	sk_set_socket(sk, NULL);
	return sent == (int)len;
}

/* What a failed handshake counts as. */
static enum ttls_counter child_failure(const struct ttls_turn *turn)
{
	switch (turn->culprit) {
	case TTLS_CULPRIT_PEER:
		return TTLS_N_FAILED_PEER;
	case TTLS_CULPRIT_MISMATCH:
		return TTLS_N_FAILED_MISMATCH;
	default:
		return TTLS_N_FAILED_LOCAL;
	}
}

/* Does what a turn asks for. The socket's lock is held, softirqs are off. */
void ttls_child_apply(struct ttls_child *child, struct ttls_turn *turn, int result)
{
	sock_owned_by_me(child->sk);
	if (result) {
		child_give_up(child, TTLS_N_CONTAINED_PANICS);
		return;
	}
	if (turn->output_len && turn->step != TTLS_STEP_WORK &&
	    !child_send_flight(child->sk, turn->output, turn->output_len)) {
		child_give_up(child, TTLS_N_CLOSED);
		return;
	}
	switch (turn->step) {
	case TTLS_STEP_RECEIVE:
		break;
	case TTLS_STEP_WORK:
		child->state = TTLS_WORKING;
		ttls_worker_queue(child);
		break;
	case TTLS_STEP_ESTABLISHED:
		child_finish(child);
		break;
	default:
		child_give_up(child, child_failure(turn));
	}
}

static int child_copy_record(read_descriptor_t *desc, struct sk_buff *skb, unsigned int offset, size_t len)
{
	size_t n = min_t(size_t, len, desc->count);

	if (skb_copy_bits(skb, offset, desc->arg.buf, n))
		return -EFAULT;
	desc->arg.buf += n;
	desc->count -= n;
	return n;
}

/* Looks at the first bytes of the receive queue without taking them. */
static bool child_peek(struct sock *sk, u8 *out, u32 len)
{
	struct sk_buff *skb;
	u32 done = 0;

	skb_queue_walk(&sk->sk_receive_queue, skb) {
		u32 offset = tcp_sk(sk)->copied_seq + done - TCP_SKB_CB(skb)->seq, n;

		if (TCP_SKB_CB(skb)->tcp_flags & TCPHDR_SYN)
			offset--;
		if (offset >= skb->len)
			continue;
		n = min(skb->len - offset, len - done);
		if (skb_copy_bits(skb, offset, out + done, n))
			return false;
		done += n;
		if (done == len)
			return true;
	}
	return false;
}

/* The length of what the core can be given: a whole record, or a header that begins none. 0 if it is not there yet. */
static u32 child_record_ready(struct sock *sk)
{
	u32 there = tcp_inq(sk), len;
	u8 header[RECORD_HEADER];

	if (there < RECORD_HEADER || !child_peek(sk, header, RECORD_HEADER))
		return 0;
	len = RECORD_HEADER + (header[3] << 8 | header[4]);
	if (header[0] < 20 || header[0] > 23 || header[1] != 3 || len > MAX_RECORD)
		return RECORD_HEADER;
	return there >= len ? len : 0;
}

/* Takes in the records that are there. The socket's lock is held, softirqs are off. */
void ttls_child_progress(struct ttls_child *child)
{
	struct sock *sk = child->sk;

	while (child->state == TTLS_RECEIVING) {
		struct buffers *b = this_cpu_read(buffers);
		struct ttls_turn turn = {
			.connection = child->core,
			.site = child->site->core,
			.now = div_u64(ktime_get_real_ns(), NSEC_PER_MSEC),
			.input = b->input,
			.input_size = TTLS_INPUT,
			.input_len = child_record_ready(sk),
			.output = b->output,
			.output_size = TTLS_FLIGHT,
			.established = &child->established,
		};
		read_descriptor_t desc = { .count = turn.input_len, .arg.buf = b->input };
		int result;

		if (!turn.input_len) {
			if (sk->sk_shutdown & RCV_SHUTDOWN || sk->sk_state == TCP_CLOSE)
				child_give_up(child, TTLS_N_CLOSED);
			return;
		}
		if (!irq_fpu_usable()) {
			ttls_worker_queue(child);
			return;
		}
		if (tcp_read_sock(sk, &desc, child_copy_record) != turn.input_len) {
			child_give_up(child, TTLS_N_CLOSED);
			return;
		}
		read_lock(&ttls_ticket_lock);
		result = ttls_call(TTLS_RECEIVE, &turn);
		read_unlock(&ttls_ticket_lock);
		/* Work at the beginning of a flight: nothing is written before it. */
		if (!result && turn.step == TTLS_STEP_WORK && turn.output_len)
			result = -EINVAL;
		ttls_child_apply(child, &turn, result);
		if (turn.step == TTLS_STEP_ESTABLISHED)
			return;
	}
}

/* The socket's lock is held: by a softirq, or by a process that works its backlog off. */
static void child_data_ready(struct sock *sk)
{
	struct ttls_child *child = ttls_child_of(sk);

	if (!child)
		return;
	local_bh_disable();
	ttls_child_progress(child);
	local_bh_enable();
}

static void child_state_change(struct sock *sk)
{
	struct ttls_child *child = ttls_child_of(sk);

	if (!child || child->state >= TTLS_ENDING)
		return;
	if (sk->sk_state == TCP_CLOSE)
		child_give_up(child, TTLS_N_CLOSED);
	else
		/* A FIN may come with the last flight. */
		child_data_ready(sk);
}

/* Who pays for a listener's contexts: whoever made it, not the process that a softirq interrupts. */
static struct mem_cgroup *memcg_of(struct sock *sk)
{
#ifdef CONFIG_MEMCG
	return sk->sk_memcg;
#else
	return NULL;
#endif
}

/* A context without a socket yet. */
struct ttls_child *ttls_child_new(struct ttls_listener *listener, struct ttls_site *site)
{
	struct mem_cgroup *before = set_active_memcg(memcg_of(listener->sk));
	struct ttls_child *child = kmem_cache_zalloc(ttls_children, GFP_ATOMIC | __GFP_ACCOUNT);

	set_active_memcg(before);
	if (!child)
		return NULL;
	kref_init(&child->ref);
	INIT_LIST_HEAD(&child->node);
	INIT_WORK(&child->end, child_end_work);
	timer_setup(&child->timer, child_timed_out, 0);
	kref_get(&listener->ref);
	child->listener = listener;
	kref_get(&listener->space->ref);
	child->space = listener->space;
	child->site = site;
	ttls_count(child->space, TTLS_N_CONTEXTS, 1);
	return child;
}

/* Before the socket is hashed. */
void ttls_child_adopt(struct ttls_child *child, struct sock *sk)
{
	child->sk = sk;
	own_memory(child, sk);
	sk->sk_rcvlowat = 1;		/* SO_RCVLOWAT is for what the program reads */
	sk->sk_data_ready = child_data_ready;
	sk->sk_state_change = child_state_change;
	sk->sk_write_space = no_write_space;
	rcu_assign_pointer(inet_csk(sk)->icsk_ulp_data, &child->base);
}

/*
 * Ends the listener's oldest handshakes while it has too many: a flood of silent clients keeps nobody out. Two for one
 * that comes, so that a lower bound is reached soon. The listener's lock is held.
 */
static void listener_make_room(struct ttls_listener *listener, const struct ttls_site *site)
{
	const atomic_long_t *pending = &listener->space->counters[TTLS_N_PENDING];
	int i;

	lockdep_assert_held(&listener->lock);
	for (i = 0; i < 2 && listener->pending_count; i++) {
		if (listener->pending_count <= site->max_pending_listener &&
		    atomic_long_read(pending) <= site->max_pending)
			return;
		ttls_child_end_locked(list_first_entry(&listener->pending, struct ttls_child, node));
		ttls_count(listener->space, TTLS_N_REFUSED, 1);
	}
}

/* After it. If the listener closed meanwhile, the child ends at once. */
void ttls_child_begin(struct ttls_child *child)
{
	struct ttls_listener *listener = child->listener;

	sock_hold(child->sk);
	kref_get(&child->ref);
	kref_get(&child->ref);		/* the timer's */
	ttls_count(child->space, TTLS_N_PENDING, 1);
	mod_timer(&child->timer, jiffies + msecs_to_jiffies(child->site->timeout));
	spin_lock_bh(&listener->lock);
	list_add_tail(&child->node, &listener->pending);
	child->has_place = true;
	listener->pending_count++;
	if (listener->closed)
		ttls_child_end_locked(child);
	else
		listener_make_room(listener, child->site);
	spin_unlock_bh(&listener->lock);
}

/* Before a CPU begins, and after it has ended. */
int ttls_child_prepare(unsigned int cpu)
{
	per_cpu(buffers, cpu) = vmalloc_node(sizeof(struct buffers), cpu_to_node(cpu));
	return per_cpu(buffers, cpu) ? 0 : -ENOMEM;
}

void ttls_child_dead(unsigned int cpu)
{
	vfree(per_cpu(buffers, cpu));
	per_cpu(buffers, cpu) = NULL;
}

void ttls_child_exit(void)
{
	kmem_cache_destroy(ttls_children);
}

int ttls_child_init(void)
{
	init_waitqueue_head(&nowhere.socket.wq.wait);
	ttls_children = kmem_cache_create("ttls_child", sizeof(struct ttls_child) + ttls_connection_size, 0,
					  SLAB_HWCACHE_ALIGN, NULL);
	return ttls_children ? 0 : -ENOMEM;
}
