/*
 * The hardware below the engine, as arrays: VMCSs with fields, launch state and
 * which one is loaded; MSRs; counters of what the engine asked for; the log.
 *
 * Always: what a processor would refuse (a field that does not exist, an access
 * with no VMCS loaded, VMPTRLD of what is no VMCS) ends the test at once.
 */
#pragma once

#include "vmx_caps.h"

#define HW_REGIONS 80
#define HW_MSRS 64
#define HW_LOG_SIZE 4096

struct hw_region {
	hpa_t at;
	bool shadow;
	bool clear;		/* since the last load */
	u64 v[VF_COUNT];
};

struct hw_flush {
	u32 type;
	u64 what;		/* EPTP or VPID */
	gva_t address;
};

#define HW_FLUSHES 128

struct hw_counts {
	u64 loads, reads, writes, clears, invepts, invvpids, msr_reads, msr_writes, barriers;
};

struct hw_model;

/* Who does what the engine asks of the hardware, where that is not the model: another engine. */
struct hw_host {
	void (*load)(struct hw_model *hw, hpa_t at);
	void (*clear)(struct hw_model *hw, hpa_t at);
	u64 (*read)(struct hw_model *hw, u32 encoding);
	void (*write)(struct hw_model *hw, u32 encoding, u64 v);
	void (*init_vmcs02)(struct hw_model *hw);
	void (*invept)(struct hw_model *hw, u64 eptp);
	void (*invvpid)(struct hw_model *hw, u32 type, u16 vpid, gva_t a);
};

struct hw_model {
	const struct hw_host *host;	/* NULL: nobody else */
	struct vmx_caps caps;
	bool exists[VF_COUNT];
	struct hw_region region[HW_REGIONS];
	unsigned regions;
	struct hw_region *loaded;
	struct { u32 msr; u64 value; } msr[HW_MSRS];
	unsigned msrs;
	u32 pkru;
	u64 cr2, dr[4];
	struct hw_counts count;
	struct hw_flush last_invept, last_invvpid;
	struct hw_flush flush[HW_FLUSHES];	/* the INVVPIDs since hw_forget() */
	unsigned flushes;
	u32 written[VF_COUNT];	/* by hw_write(), since hw_forget() */
	char log[HW_LOG_SIZE];	/* emptied when it is full */
	unsigned log_len;
};

/* The Skylake-X of Bochs 3.0. */
void hw_model_init(struct hw_model *hw);
/* The capabilities are others now: so are the fields that there are. */
void hw_model_fields(struct hw_model *hw);
/* Makes a VMCS at this address; returns it. */
struct hw_region *hw_region_add(struct hw_model *hw, hpa_t at, bool shadow);
struct hw_region *hw_region_at(struct hw_model *hw, hpa_t at);
void hw_msr_set(struct hw_model *hw, u32 msr, u64 value);
/* Counts anew. */
void hw_forget(struct hw_model *hw);

void hw_load(struct hw_model *hw, hpa_t at);
void hw_clear(struct hw_model *hw, hpa_t at);
u64 hw_read(struct hw_model *hw, u32 encoding);
void hw_write(struct hw_model *hw, u32 encoding, u64 v);
/*
 * SDM 3C "Saving Control Registers, Debug Registers, and MSRs": an exit makes "IA-32e mode
 * guest" of the VMCS loaded EFER.LMA; efer is the field that has it.
 */
void hw_save_lma(struct hw_model *hw, u32 efer);
/* Of what vm/ writes to a new vmcs02, what a processor would act on at the next entry. */
void hw_init_vmcs02(struct hw_model *hw);
void hw_invept(struct hw_model *hw, u64 eptp);
void hw_invvpid(struct hw_model *hw, u32 type, u16 vpid, gva_t a);
bool hw_msr_read(struct hw_model *hw, u32 msr, u64 *v);
bool hw_msr_write(struct hw_model *hw, u32 msr, u64 v);
void hw_log(struct hw_model *hw, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
