/** Signs as this node, for a purpose. */
export type Signer = (domain: string, bytes: Uint8Array) => Uint8Array

export interface Log {
  (message: string, ...args: unknown[]): void
  error(message: string, ...args: unknown[]): void
}
