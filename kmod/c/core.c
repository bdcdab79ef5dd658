// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Calls into the Rust half.
 *
 * They run between kernel_fpu_begin() and kernel_fpu_end(), because the Rust code is compiled for SSE2, on a
 * stack of their own, because post-quantum key exchange needs more than a kernel stack has. Softirqs are off
 * meanwhile, so each CPU's stack has one user at a time.
 */
#include <linux/module.h>
#include <linux/objtool.h>
#include <linux/percpu.h>
#include <linux/random.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>
#include <asm/fpu/api.h>
#include "core.h"

/*
 * The core moves states by value, some kilobytes each. Where there are lanes of AVX-512, the self-test was seen to take
 * 92 KiB, a turn of the worker with RSA-2048 57 KiB; with RSA-4096 it is 77 KiB by the frames' sizes.
 */
#define TTLS_STACK	(128 * 1024)

/* How long secrets of a handshake may lie on an idle stack. */
#define WIPE_DELAY	(HZ / 50)

static DEFINE_PER_CPU(u8 *, ttls_stack);
static DEFINE_PER_CPU(bool, stack_has_secrets);
static DEFINE_PER_CPU(struct delayed_work, wipe_later);
/* While the module loads, it makes a panic itself. */
static bool rehearsal;

static void *core_stack_top(void)
{
	return this_cpu_read(ttls_stack) + TTLS_STACK - 16;
}

static void core_wipe_stack(void)
{
	memzero_explicit(this_cpu_read(ttls_stack), TTLS_STACK);
	this_cpu_write(stack_has_secrets, false);
}

static void core_wipe_work(struct work_struct *work)
{
	local_bh_disable();
	if (this_cpu_read(stack_has_secrets))
		core_wipe_stack();
	local_bh_enable();
}

/* Wipes the stack after a call: at once after private keys, soon, and once for many calls, after other secrets. */
static void core_wipe_after(enum ttls_door door)
{
	switch (door) {
	case TTLS_RUN:
	case TTLS_BUILD:
		core_wipe_stack();
		break;
	case TTLS_RECEIVE:
	case TTLS_ADVANCE:
	case TTLS_NEXT_KEYS:
		if (this_cpu_read(stack_has_secrets))
			break;
		this_cpu_write(stack_has_secrets, true);
		schedule_delayed_work_on(smp_processor_id(), this_cpu_ptr(&wipe_later), WIPE_DELAY);
		break;
	default:
		break;
	}
}

int ttls_call(enum ttls_door door, void *argument)
{
	/* What a panic leaves as it is. */
	struct ttls_call call = { .door = door, .result = -EFAULT, .argument = argument };

	local_bh_disable();
	kernel_fpu_begin();
	ttls_enter(&call, core_stack_top());
	core_wipe_after(door);
	kernel_fpu_end();
	local_bh_enable();
	return call.result;
}

void ttls_random(u8 *out, size_t len)
{
	get_random_bytes(out, len);
}

/* Leaves the Rust frames behind. They hold no lock and own no memory. */
void __noreturn ttls_panicked(const u8 *file, size_t len, u32 line)
{
	void *top = core_stack_top();

	if (!rehearsal)
		pr_err_ratelimited("ttls: contained a panic at %.*s:%u; its connections are lost. Please report it.\n",
				   (int)len, file, line);
	asm volatile("movq %0, %%rsp\n\tjmp ttls_leave" : : "r" (top) : "memory");
	unreachable();
}

STACK_FRAME_NON_STANDARD(ttls_panicked);

/* Before a CPU begins, and after it has ended. */
int ttls_core_prepare(unsigned int cpu)
{
	/* vmalloc has a guard page below. */
	per_cpu(ttls_stack, cpu) = vzalloc_node(TTLS_STACK, cpu_to_node(cpu));
	per_cpu(stack_has_secrets, cpu) = false;
	INIT_DELAYED_WORK(per_cpu_ptr(&wipe_later, cpu), core_wipe_work);
	return per_cpu(ttls_stack, cpu) ? 0 : -ENOMEM;
}

void ttls_core_dead(unsigned int cpu)
{
	cancel_delayed_work_sync(per_cpu_ptr(&wipe_later, cpu));
	if (per_cpu(ttls_stack, cpu))
		memzero_explicit(per_cpu(ttls_stack, cpu), TTLS_STACK);
	vfree(per_cpu(ttls_stack, cpu));
	per_cpu(ttls_stack, cpu) = NULL;
}

/* With a stack for each CPU. */
int ttls_core_check(void)
{
	int failed;

	if (ttls_layout[0] != sizeof(struct ttls_configuration) ||
	    ttls_layout[1] != sizeof(struct ttls_certificate) ||
	    ttls_layout[2] != sizeof(struct ttls_established) ||
	    ttls_layout[3] != sizeof(struct ttls_turn) ||
	    ttls_layout[4] != sizeof(struct ttls_key_update) ||
	    ttls_layout[5] != sizeof(struct ttls_next_keys) ||
	    ttls_layout[6] != sizeof(struct ttls_record)) {
		pr_err("ttls: the Rust object is of another version: build both halves together\n");
		return -EINVAL;
	}
	rehearsal = true;
	failed = ttls_call(TTLS_PANIC, (void *)4);
	rehearsal = false;
	if (failed != -EFAULT) {
		pr_err("ttls: a panic is not contained (%d): the module is not loaded\n", failed);
		return -EIO;
	}
	return 0;
}
