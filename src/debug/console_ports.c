/*
 * The console's outputs: port 0xE9 (emulators), the UART at 0x3F8, the VGA
 * text screen. L1 owns the latter two: the UART is polled, and left with the
 * settings that L1 gave it, even when L1 is interrupted in the middle of them.
 */
#include "debug/console_ports.h"

#include "cpu/cpu.h"
#include "cpu/memory.h"

#define E9 0xe9

#define COM1 0x3f8
#define UART_DATA (COM1 + 0)
#define UART_DIVISOR_LOW (COM1 + 0)
#define UART_IER (COM1 + 1)
#define UART_DIVISOR_HIGH (COM1 + 1)
#define UART_FCR (COM1 + 2)
#define UART_LCR (COM1 + 3)
#define UART_MCR (COM1 + 4)
#define UART_LSR (COM1 + 5)
#define UART_SCRATCH (COM1 + 7)
#define LCR_8N1 0x03
#define LCR_DLAB 0x80
#define MCR_DTR_RTS 0x03
#define LSR_THR_EMPTY 0x20
#define DIVISOR_115200 1
#define DIVISOR_9600 12
#define UART_SPINS 200000		/* about 20 characters' time at 9600 baud */

#define VGA_TEXT 0xb8000
#define VGA_COLUMNS 80
#define VGA_ROWS 25
#define VGA_GREY 0x0700

bool con_e9_present(void)
{
	return cpu_inb(E9) == E9;
}

void con_e9_write(const char *s, size_t n)
{
	cpu_outsb(E9, s, n);
}

/*
 * Who set a speed above 9600 (a boot loader, an outer Plastron) is obeyed;
 * reset values and the firmware's 9600 become 115200.
 */
bool con_uart_init(void)
{
	cpu_outb(UART_SCRATCH, 0x5a);
	if (cpu_inb(UART_LSR) == 0xff || cpu_inb(UART_SCRATCH) != 0x5a)
		return false;
	u8 lcr = cpu_inb(UART_LCR);

	cpu_outb(UART_LCR, lcr | LCR_DLAB);
	u32 divisor = cpu_inb(UART_DIVISOR_LOW) | (u32)cpu_inb(UART_DIVISOR_HIGH) << 8;
	bool chosen = divisor != 0 && divisor < DIVISOR_9600 && (lcr & LCR_8N1) == LCR_8N1;

	if (!chosen) {
		cpu_outb(UART_DIVISOR_LOW, DIVISOR_115200);
		cpu_outb(UART_DIVISOR_HIGH, 0);
		lcr = LCR_8N1;
		cpu_outb(UART_MCR, MCR_DTR_RTS);
	}
	cpu_outb(UART_LCR, lcr & ~LCR_DLAB);
	return true;
}

void con_uart_write(const char *s, size_t n)
{
	u8 lcr = cpu_inb(UART_LCR);

	if (lcr & LCR_DLAB)
		cpu_outb(UART_LCR, lcr & ~LCR_DLAB);
	for (size_t i = 0; i < n; i++) {
		for (u32 spins = 0; !(cpu_inb(UART_LSR) & LSR_THR_EMPTY); spins++)
			if (spins == UART_SPINS)
				break;
		cpu_outb(UART_DATA, (u8)s[i]);
	}
	if (lcr & LCR_DLAB)
		cpu_outb(UART_LCR, lcr);
}

static void vga_scroll(volatile u16 *screen)
{
	for (int i = 0; i < VGA_COLUMNS * (VGA_ROWS - 1); i++)
		screen[i] = screen[i + VGA_COLUMNS];
	for (int i = 0; i < VGA_COLUMNS; i++)
		screen[VGA_COLUMNS * (VGA_ROWS - 1) + i] = VGA_GREY | ' ';
}

/* On the last line, scrolling what is there: needs no memory of the cursor. */
void con_vga_write(const char *s, size_t n)
{
	volatile u16 *screen = hpa_to_ptr(HPA(VGA_TEXT));
	int column = 0;

	vga_scroll(screen);
	for (size_t i = 0; i < n && s[i] != '\n'; i++) {
		if (column == VGA_COLUMNS) {
			vga_scroll(screen);
			column = 0;
		}
		screen[VGA_COLUMNS * (VGA_ROWS - 1) + column++] = (u16)(VGA_GREY | (u8)s[i]);
	}
}
