export type { IsSigned, Sign as Signer } from '../host/index.ts'

export interface Log {
  (message: string, ...args: unknown[]): void
  error(message: string, ...args: unknown[]): void
}
