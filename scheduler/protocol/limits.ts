/** What one message between two nodes may hold. */

// The largest message: a program's context (a matrix) or one batch of slices. More travels by CID.
export const MAX_FRAME_BYTES = 64 * 1024 * 1024
/** Most slices that one message may lease or answer. */
export const MAX_SLICES_PER_MESSAGE = 4096
/** Most inputs of one slice: the tasks of a batch. */
export const MAX_INPUTS_PER_SLICE = 65_536
/**
 * Most pieces of one input: groups of 16,384 slices, the most that a job has, with a head each, and some of more than a
 * block. Records of 1 KiB in a slice of 4 MiB are fewer.
 */
export const MAX_PIECES = 65_536
/** Most workers that one input comes from: twice as many as a requester is linked to at a time. */
export const MAX_HOLDERS = 256
/** Most of them that one block is asked of. */
export const MAX_HOLDERS_PER_BLOCK = 4
/** Programs that a worker keeps loaded for one requester, and what they with their contexts may take together; one alone may be larger. */
export const MAX_PROGRAMS = 256
export const MAX_PROGRAMS_BYTES = 32 * 1024 * 1024
// A program and its context stay below a frame with room for its envelope.
export const MAX_PROGRAM_BYTES = MAX_FRAME_BYTES - 65_536
/** The output of a slice must fit into a frame with room for its envelope. */
export const MAX_OUTPUT_BYTES = 32 * 1024 * 1024
/**
 * Inputs or results of one slice stay near this size: heartbeats are not stuck behind them, and one is on its way while
 * others are calculated, encoded and kept.
 */
export const MESSAGE_BYTES = 4 * 1024 * 1024
/**
 * Most values (numbers, texts, bytes, lists, maps) in one message: a batch of 65,536 inputs with an answer each and some
 * thousand slices around them are a third of it. Read within 50 ms.
 */
export const MAX_MESSAGE_VALUES = 1_000_000
/** The same in a spec that another node coordinates: more than the items that any task takes inline, not in typed arrays. */
export const MAX_SPEC_VALUES = 8_000_000
