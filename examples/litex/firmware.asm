# Runs the program that lies in the main RAM, waits for the interrupt, compares the result with what NumPy computed.
# The constants come from run.py: registers of the accelerator (docs/registers.md), CSRs of the SoC, and addresses.

start:
    li   s0, GEMMARY                    # its registers
    lw   t0, s0, CONFIG_IDENTITY
    li   t1, EXPECTED_IDENTITY
    bne  t0, t1, wrong_accelerator

    li   t0, PROGRAM
    sw   s0, t0, PROGRAM_ADDRESS_LOW
    sw   s0, zero, PROGRAM_ADDRESS_HIGH
    li   t0, PROGRAM_SIZE
    sw   s0, t0, PROGRAM_LENGTH
    li   t0, 3                          # done, error
    sw   s0, t0, INTERRUPT_ENABLE
    li   t0, 1
    li   t1, EVENT_ENABLE
    sw   t1, t0, 0                      # LiteX lets the interrupt through to the processor
    li   t0, IRQ_BIT
    csrrw zero, t0, IRQ_MASK
    li   t0, 1
    sw   s0, t0, CONTROL

wait:
    csrrs t0, zero, IRQ_PENDING         # a handler would do, too
    beqz t0, wait

    lw   t0, s0, INTERRUPT_STATUS
    li   t1, 1                          # done, and no error
    bne  t0, t1, stopped
    li   t0, 3
    sw   s0, t0, INTERRUPT_STATUS       # writing 1 clears

    li   a0, RESULT
    li   a1, %position(expected, ROM)
    li   a2, RESULT_WORDS
compare:
    lw   t0, a0, 0
    lw   t1, a1, 0
    bne  t0, t1, different
    addi a0, a0, 4
    addi a1, a1, 4
    addi a2, a2, -1
    bnez a2, compare

    li   a0, %position(text_pass, ROM)
    li   a1, 0
    j    leave

different:
    li   a0, %position(text_different, ROM)
    li   a1, 1
    j    leave
stopped:
    li   a0, %position(text_stopped, ROM)
    li   a1, 2
    j    leave
wrong_accelerator:
    li   a0, %position(text_wrong, ROM)
    li   a1, 3

leave:                                  # prints the text at a0, ends with status a1
    li   t0, CONSOLE
next:
    lbu  t1, a0, 0
    beqz t1, end
    sw   t0, t1, 0
    addi a0, a0, 1
    j    next
end:
    li   t0, EXIT
    sw   t0, a1, 0
forever:
    j    forever

text_pass:
    string PASS: the result equals NumPy's\n
    bytes 0
text_different:
    string FAIL: the result differs from NumPy's\n
    bytes 0
text_stopped:
    string FAIL: the accelerator stopped with an error\n
    bytes 0
text_wrong:
    string FAIL: this is not the accelerator that the program was compiled for\n
    bytes 0
align 4
expected:
