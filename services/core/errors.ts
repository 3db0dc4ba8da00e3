/** The wait for the witnesses is over before an order is certified; the order itself is not. */
export class UncertifiedError extends Error {
  override readonly name = 'UncertifiedError'
  constructor(waitMs: number) {
    super(
      `the witnesses have not certified the transfer within ${waitMs / 1000} s; the order may still go through: look with artel history, or GET /api/v1/credits/history, before you send it again`
    )
  }
}
