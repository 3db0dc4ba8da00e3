import type { z } from 'zod'
import type * as jobs from '../../../../compute/index.ts'
import type { credits, historyEntry, network, peerRow, reputation } from '../../../../core/index.ts'
import type * as events from '../../../schema.ts'

/** What travels, as JSON has it: credits are decimal strings of micro-credits. */
type Answer<O extends { output: z.ZodType }> = z.input<O['output']>
type Compute = (typeof jobs.compute)['operations']
type Credits = (typeof credits)['operations']
type Networks = (typeof network)['operations']

export type JobState = jobs.JobState
export type JobReport = z.input<typeof jobs.jobReport>
export type JobPage = Answer<Compute['jobs']>
export type Progress = z.input<typeof jobs.progress>
export type TaskSpec = jobs.TaskSpec
export type TaskType = jobs.TaskType
export type Submitted = Answer<Compute['submit']>
export type Slices = Answer<Compute['slices']>
export type ReceiptRows = Answer<Compute['receipts']>
export type Forecast = jobs.Forecast
export type QuoteView = Answer<Compute['quote']>

export type Balance = Answer<Credits['balance']>
export type HistoryEntry = z.input<typeof historyEntry>
export type History = Answer<Credits['history']>
export type Reputation = z.input<typeof reputation>
export type Reputations = Answer<Credits['top']>
export type ReceiptCheck = Answer<Credits['verifyReceipt']>

export type Network = Answer<Networks['network']>
export type PeerRow = z.input<typeof peerRow>
export type Offers = Answer<Networks['offers']>
export type Services = Answer<Networks['services']>

export type Problem = events.Problem
export type Event = z.input<typeof events.event>
export type Stats = events.Stats
