/*
 * A program for L1's initramfs that prints the time-stamp counter. Under the
 * emulator this is the number of instructions since the machine was switched on.
 */
static long sys_write(long fd, const void *data, long size)
{
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(1L), "D"(fd), "S"(data), "d"(size)
			 : "rcx", "r11", "memory");
	return ret;
}

__attribute__((noreturn)) void _start(void)
{
	unsigned long tsc = __builtin_ia32_rdtsc();
	char text[24];
	int at = sizeof(text);

	text[--at] = '\n';
	do {
		text[--at] = (char)('0' + tsc % 10);
		tsc /= 10;
	} while (tsc);
	sys_write(1, text + at, (long)sizeof(text) - at);
	for (;;)
		__asm__ volatile("syscall" : : "a"(231L), "D"(0L) : "rcx", "r11", "memory");
}
