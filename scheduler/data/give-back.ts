/**
 * Nobody uses these bytes any more. Where they have a memory of their own it is free at once; as garbage it would be here until it is
 * collected, which is late for what is large.
 */
export function giveBack({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && byteLength === buffer.byteLength) buffer.transfer(0)
}
