/** What takes the place of JavaScript in an isolate: an interpreter, or a runtime of models. Made by its own source text. */
export interface Runtime {
  /** Begins to start it, with its files; its promises settle when the call that began it is over. */
  boot(...files: never[]): void
  /** Its memory after a start without one, from which another starts sooner. */
  snapshot?(): Uint8Array
  /** Makes it ready for a program, after `boot` and `snapshot`. Throws what kept it from starting. */
  ready(): void
  /** What is wrong with the author's program, as `message [task:line:column]`, or undefined. */
  load(
    source: Uint8Array,
    context: Uint8Array | undefined,
    options: { memoryMb: number; seed: string }
  ): string | undefined
  /**
   * Canonical bytes of an input → of the result. What the program is to blame for has `isRaised`, and `isInvalid` where
   * the result is at fault; all else means that the runtime is broken.
   */
  run(input: Uint8Array, maxBytes: number): Uint8Array
  /** what was printed since it was last asked, at most 4,096 characters in all */
  said(): string
}
