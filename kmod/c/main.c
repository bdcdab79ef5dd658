// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Loading and unloading. */
#include <linux/cc_platform.h>
#include <linux/cpuhotplug.h>
#include <linux/kmod.h>
#include <linux/module.h>
#include <asm/msr.h>
#include "ttls.h"

/* Ends of connections, and ticket keys: what must not run in a softirq. */
struct workqueue_struct *ttls_wq;

/* Whether the hardware compares returns with calls: what leaves the Rust half after a panic is no return. */
static bool __init has_shadow_stack(void)
{
#ifdef X86_FEATURE_SHSTK
	u32 low, high;

	if (boot_cpu_has(X86_FEATURE_SHSTK)) {
		rdmsr(MSR_IA32_S_CET, low, high);
		return low & CET_SHSTK_EN;
	}
#endif
	return false;
}

/*
 * Why the module can not work here, if so. The Rust half runs on a private stack that the kernel does not know.
 * Interrupts, NMI and machine checks come with stacks of their own, and FRED pushes to the stack in use; none of
 * them asks for its bounds. The handler of #VC does, which CPUID raises in a guest with encrypted registers: it panics
 * on a stack that it does not know.
 */
static const char * __init main_obstacle(void)
{
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		return "the kernel has PREEMPT_RT";
	if (!IS_ENABLED(CONFIG_MPTCP))
		return "the kernel lacks MPTCP";
	if (cc_platform_has(CC_ATTR_GUEST_STATE_ENCRYPT))
		return "this is a guest of AMD SEV-ES or SEV-SNP, whose #VC exceptions panic on the module's stack";
	if (has_shadow_stack())
		return "the kernel has a shadow stack";
	return NULL;
}

/* Memory is there for the CPUs that are online. First what calls need, then what needs calls. */
static enum cpuhp_state call_state, worker_state;

static int main_prepare_calls(unsigned int cpu)
{
	int err = ttls_core_prepare(cpu);

	if (!err)
		err = ttls_child_prepare(cpu);
	if (err)
		ttls_core_dead(cpu);
	return err;
}

static int main_end_calls(unsigned int cpu)
{
	ttls_child_dead(cpu);
	ttls_core_dead(cpu);
	return 0;
}

static int main_end_worker(unsigned int cpu)
{
	ttls_worker_dead(cpu);
	return 0;
}

static int __init main_init_cpus(void)
{
	int state = cpuhp_setup_state(CPUHP_BP_PREPARE_DYN, "ttls:calls", main_prepare_calls, main_end_calls), err;

	if (state < 0)
		return state;
	call_state = state;
	err = ttls_core_check();
	if (!err) {
		state = cpuhp_setup_state(CPUHP_BP_PREPARE_DYN, "ttls:worker", ttls_worker_prepare, main_end_worker);
		worker_state = state;
		err = min(state, 0);
	}
	if (err)
		cpuhp_remove_state(call_state);
	return err;
}

static void main_exit_cpus(void)
{
	cpuhp_remove_state(worker_state);
	cpuhp_remove_state(call_state);
}

static int __init main_init(void)
{
	const char *why = main_obstacle();
	int err;

	if (why) {
		pr_err("ttls: not loaded: %s\n", why);
		return -EOPNOTSUPP;
	}
	request_module("tls");
	err = ttls_child_init();
	if (err)
		return err;
	err = ttls_worker_init();
	if (err)
		goto child;
	err = main_init_cpus();
	if (err)
		goto worker;
	err = -ENOMEM;
	ttls_wq = alloc_workqueue("ttls", WQ_UNBOUND, 0);
	if (!ttls_wq)
		goto cpus;
	err = ttls_control_init();
	if (err)
		goto wq;
	err = tcp_register_ulp(&ttls_ulp_ops);
	if (!err)
		return 0;
	ttls_control_exit();
wq:
	destroy_workqueue(ttls_wq);
cpus:
	main_exit_cpus();
worker:
	ttls_worker_exit();
child:
	ttls_child_exit();
	return err;
}

/* Only without sockets: each holds a reference. Timers and callbacks of closed ones may still be under way. */
static void __exit main_exit(void)
{
	tcp_unregister_ulp(&ttls_ulp_ops);
	/* Softirqs that found a socket of ours before it went are done with it. */
	synchronize_net();
	flush_workqueue(ttls_wq);
	ttls_control_exit();
	main_exit_cpus();
	ttls_worker_exit();
	destroy_workqueue(ttls_wq);
	rcu_barrier();
	ttls_socket_exit();
	ttls_child_exit();
}

module_init(main_init);
module_exit(main_exit);
MODULE_DESCRIPTION("TLS handshakes in the kernel, for listening sockets");
MODULE_LICENSE("Dual MIT/GPL");
MODULE_ALIAS_TCP_ULP("ttls");
MODULE_SOFTDEP("pre: tls");
