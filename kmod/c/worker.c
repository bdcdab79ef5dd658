// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Public-key work, gathered: whatever waits on a CPU when its worker comes round is computed together.
 * Batches come from arrivals; a lone connection is computed at once.
 */
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/vmalloc.h>
#include "ttls.h"

struct ttls_worker {
	struct llist_head queue;
	struct work_struct work;
	struct ttls_child *children[TTLS_BATCH];
	struct ttls_turn turns[TTLS_BATCH];
	void *core;
	u8 *flights;
};

static DEFINE_PER_CPU(struct ttls_worker, ttls_workers);
static struct workqueue_struct *worker_wq;

/* The socket's lock is held: the reference keeps both until the worker has been there. */
void ttls_worker_queue(struct ttls_child *child)
{
	struct ttls_worker *worker = this_cpu_ptr(&ttls_workers);

	sock_owned_by_me(child->sk);
	if (test_and_set_bit(0, &child->is_queued))
		return;
	kref_get(&child->ref);
	sock_hold(child->sk);
	if (llist_add(&child->queued, &worker->queue))
		queue_work_on(smp_processor_id(), worker_wq, &worker->work);
}

/* Whoever has the socket, for a look at it or for its end, is waited for: what was computed is not lost. */
static void worker_lock_child(struct ttls_child *child)
{
	lock_sock(child->sk);
	local_bh_disable();
}

static void worker_unlock_child(struct ttls_child *child)
{
	local_bh_enable();
	release_sock(child->sk);
}

static void worker_put_child(struct ttls_child *child)
{
	struct sock *sk = child->sk;

	ttls_child_put(child);
	sock_put(sk);
}

static bool worker_any_work(struct ttls_turn *turns, size_t count)
{
	while (count--)
		if (turns[count].step == TTLS_STEP_WORK)
			return true;
	return false;
}

static void worker_run_batch(struct ttls_worker *worker, size_t count)
{
	struct ttls_run run = { .worker = worker->core, .turns = worker->turns, .count = count };
	size_t i;
	int result;

	ttls_count(worker->children[0]->space, TTLS_N_BATCHES, 1);
	ttls_count(worker->children[0]->space, TTLS_N_BATCHED, count);
	/* An entry is bounded in time, and does as much of the turns' work as fits. */
	do {
		read_lock_bh(&ttls_ticket_lock);
		result = ttls_call(TTLS_RUN, &run);
		read_unlock_bh(&ttls_ticket_lock);
		cond_resched();
	} while (!result && worker_any_work(worker->turns, count));
	if (result)
		/* What the lanes held is unknown. */
		ttls_call(TTLS_BEGIN, worker->core);

	for (i = 0; i < count; i++) {
		struct ttls_child *child = worker->children[i];

		worker_lock_child(child);
		if (child->state == TTLS_WORKING) {
			child->state = TTLS_RECEIVING;
			ttls_child_apply(child, &worker->turns[i], result);
			ttls_child_progress(child);
		}
		worker_unlock_child(child);
		worker_put_child(child);
	}
}

static void worker_work(struct work_struct *w)
{
	struct ttls_worker *worker = container_of(w, struct ttls_worker, work);
	struct llist_node *list = llist_reverse_order(llist_del_all(&worker->queue));
	struct ttls_child *child, *next;
	size_t count = 0;

	llist_for_each_entry_safe(child, next, list, queued) {
		bool working;

		clear_bit(0, &child->is_queued);
		worker_lock_child(child);
		working = child->state == TTLS_WORKING;
		if (!working)
			/* It could not be read where it arrived. */
			ttls_child_progress(child);
		worker_unlock_child(child);
		if (!working) {
			worker_put_child(child);
			continue;
		}
		worker->turns[count] = (struct ttls_turn) {
			.connection = child->core,
			.site = child->site->core,
			.now = div_u64(ktime_get_real_ns(), NSEC_PER_MSEC),
			.output = worker->flights + count * TTLS_FLIGHT,
			.output_size = TTLS_FLIGHT,
			.step = TTLS_STEP_WORK,
			.established = &child->established,
		};
		worker->children[count++] = child;
		if (count == TTLS_BATCH) {
			worker_run_batch(worker, count);
			count = 0;
		}
	}
	if (count)
		worker_run_batch(worker, count);
}

static int worker_begin(struct ttls_worker *worker)
{
	static const char * const ways[] = {
		"scalar code", "lanes of AVX2, RSA in scalar code", "lanes of AVX-512 IFMA",
	};
	int way = ttls_call(TTLS_BEGIN, worker->core), err = way < 0 ? way : ttls_call(TTLS_SELF_TEST, worker->core);

	if (!err) {
		pr_info_once("ttls: public-key work runs in %s\n", ways[way]);
		return 0;
	}
	pr_err("ttls: self-test %d failed: this CPU computes wrong results, the module is not loaded\n", err);
	return -EIO;
}

/* Before a CPU begins. Another runs this, with a stack for its calls. */
int ttls_worker_prepare(unsigned int cpu)
{
	struct ttls_worker *worker = per_cpu_ptr(&ttls_workers, cpu);
	int err = -ENOMEM;

	init_llist_head(&worker->queue);
	INIT_WORK(&worker->work, worker_work);
	worker->core = vmalloc_node(ttls_worker_size, cpu_to_node(cpu));
	worker->flights = vmalloc_node(TTLS_BATCH * TTLS_FLIGHT, cpu_to_node(cpu));
	if (worker->core && worker->flights)
		err = worker_begin(worker);
	if (err)
		ttls_worker_dead(cpu);
	return err;
}

/* After it has ended: what it had queued runs elsewhere. */
void ttls_worker_dead(unsigned int cpu)
{
	struct ttls_worker *worker = per_cpu_ptr(&ttls_workers, cpu);

	flush_work(&worker->work);
	vfree(worker->core);
	vfree(worker->flights);
	worker->core = NULL;
	worker->flights = NULL;
}

void ttls_worker_exit(void)
{
	destroy_workqueue(worker_wq);
}

int ttls_worker_init(void)
{
	worker_wq = alloc_workqueue("ttls_worker", WQ_CPU_INTENSIVE | WQ_MEM_RECLAIM | WQ_PERCPU, 0);
	return worker_wq ? 0 : -ENOMEM;
}
