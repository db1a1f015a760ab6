/* Task switches of L1, which always exit. */
#include "vm/exits.h"

void vm_exit_task_switch(struct vcpu *v)
{
	vm_kill(v->vm, "a task switch of L1");
}
