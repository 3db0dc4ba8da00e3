/** Bytes that are no such frame, or a value that a frame cannot carry. */
export class FrameError extends Error {
  override readonly name = 'FrameError'
}
