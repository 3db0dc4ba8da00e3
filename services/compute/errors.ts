/** No job of this id is known here. */
export class UnknownJobError extends Error {
  override readonly name = 'UnknownJobError'
  constructor(id: string) {
    super(`there is no job ${id.slice(0, 64)} on this node; see them with: artel jobs, or GET /api/v1/tasks`)
  }
}

export class NotFinishedError extends Error {
  override readonly name = 'NotFinishedError'
  constructor(id: string, state: string) {
    super(
      `job ${id} is ${state} and has no result yet; ask with ?wait=MS, or follow /api/v1/tasks/${id}/events`
    )
  }
}
