import type { Compute, PeerRow, WorkerInfo } from '../../services/index.ts'

/** What the node tells a program, as its operations declare it. */
export type { Balance, HistoryEntry, Network, Reputation, Supply } from '../../services/index.ts'
export type JobState = Compute.JobState
/** What the author's code did. */
export type Failure = Compute.Failure
export type Progress = Compute.Progress
/** Why nothing of a job is at work: for people, and what it asks for and nobody offers. */
export type WaitingFor = NonNullable<Progress['waiting']>
export type JobReport = Compute.JobReport
export type DatasetView = Compute.DatasetView
export type Quote = Compute.Quote
export type Forecast = Compute.Forecast
export type Receipt = Compute.ReceiptRow
export type Peer = PeerRow
export type Worker = WorkerInfo
