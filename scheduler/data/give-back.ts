/** Whether nothing else lies in the memory of these bytes. */
export const hasOwnMemory = ({ buffer, byteLength }: Uint8Array): boolean =>
  buffer instanceof ArrayBuffer && byteLength === buffer.byteLength

/**
 * Nobody uses these bytes any more. Where they have a memory of their own it is free at once; as garbage it would be here until it is
 * collected, which is late for what is large.
 */
export function giveBack(bytes: Uint8Array): void {
  if (hasOwnMemory(bytes)) (bytes.buffer as ArrayBuffer).transfer(0)
}
