/* SPDX-License-Identifier: GPL-2.0 OR MIT */
#include <linux/linkage.h>
#include <asm/nospec-branch.h>

/*
 * void ttls_enter(struct ttls_call *call, void *top)
 *
 * Runs ttls_dispatch(call) on the stack whose last slot, 16-byte aligned, is top.
 * The kernel aligns its stacks to 8 bytes only; Rust relies on 16.
 * ttls_leave is where a panic continues, with %rsp = top: the Rust frames are gone.
 */
SYM_FUNC_START(ttls_enter)
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, (%rsi)
	movq	%rsi, %rsp
	call	ttls_dispatch
SYM_INNER_LABEL(ttls_leave, SYM_L_GLOBAL)
	popq	%rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	RET
SYM_FUNC_END(ttls_enter)
