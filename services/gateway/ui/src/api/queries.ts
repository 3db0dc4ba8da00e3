import { QueryClient, useQuery } from '@tanstack/react-query'
import type { Account, Invitation, Me, Roles, Session } from '../../../../access/index.ts'
import { call, ProblemError, UnreachableError } from './client.ts'
import type { Live } from './live.ts'
import type {
  Balance,
  Event,
  Forecast,
  History,
  JobReport,
  Network,
  Offers,
  ReceiptRows,
  Reputation,
  Reputations,
  Services,
  Slices,
  TaskSpec,
  TaskType
} from './wire.ts'

export function createQueries(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      // a machine without any network has a node
      mutations: { networkMode: 'always' },
      queries: {
        networkMode: 'always',
        staleTime: 2000,
        refetchOnWindowFocus: false,
        // a no stays a no; the node being gone is seen by the live connection, which asks again when it is back
        retry: (failures, error) => !(error instanceof ProblemError) && failures < 1
      }
    }
  })
}

/** What the node tells makes what was asked for old. Returns the end of it. */
export function follow(live: Live, queries: QueryClient): () => void {
  const isOld = (...key: string[]): void => void queries.invalidateQueries({ queryKey: key })
  return live.listen((event: Event | undefined) => {
    if (event == null) return void queries.invalidateQueries()
    if (event.type === 'end') {
      queries.setQueryData(['job', event.job.job], event.job)
      isOld('slices', event.job.job)
      isOld('receipts', event.job.job)
    } else if (event.type === 'balance') isOld('history')
    else if (event.type === 'worker:add' || event.type === 'worker:remove') {
      isOld('network')
      isOld('offers')
    }
  })
}

const get =
  <T>(path: string) =>
  ({ signal }: { signal: AbortSignal }) =>
    call<T>(path, { signal })
const part = encodeURIComponent
const SLOW_MS = 10_000
const QUICK_MS = 1000
const AGAIN_MS = 2000

export const useMeQuery = () =>
  useQuery({
    queryKey: ['me'],
    queryFn: get<Me>('/session'),
    staleTime: Number.POSITIVE_INFINITY,
    // nothing else would tell that the node is back
    refetchInterval: ({ state }) => (state.error instanceof UnreachableError ? AGAIN_MS : false)
  })
type Items<T> = { items: T[] }
export const useAccounts = () =>
  useQuery({ queryKey: ['accounts'], queryFn: get<Items<Account>>('/accounts') })
export const useInvitations = () =>
  useQuery({ queryKey: ['invitations'], queryFn: get<Items<Invitation>>('/invitations') })
export const useRoles = () => useQuery({ queryKey: ['roles'], queryFn: get<Roles>('/roles') })
export const useSessions = (isOwn: boolean) =>
  useQuery({
    queryKey: ['sessions', isOwn],
    queryFn: get<Items<Session>>(isOwn ? '/account/sessions' : '/sessions'),
    refetchInterval: SLOW_MS
  })

export const useNetwork = () =>
  useQuery({ queryKey: ['network'], queryFn: get<Network>('/network'), refetchInterval: SLOW_MS })
export const useOffers = () =>
  useQuery({ queryKey: ['offers'], queryFn: get<Offers>('/offers'), refetchInterval: SLOW_MS })
export const useForecast = () =>
  useQuery({ queryKey: ['forecast'], queryFn: get<Forecast>('/forecast'), refetchInterval: SLOW_MS })
export const useTypes = () =>
  useQuery({
    queryKey: ['types'],
    queryFn: get<TaskType[]>('/types'),
    staleTime: Number.POSITIVE_INFINITY
  })
export const useBalance = () => useQuery({ queryKey: ['balance'], queryFn: get<Balance>('/credits/balance') })
export const useHistory = () =>
  useQuery({ queryKey: ['history'], queryFn: get<History>('/credits/history?limit=1000') })
export const useReputation = (account: string) =>
  useQuery({ queryKey: ['reputation', account], queryFn: get<Reputation>(`/reputation/${part(account)}`) })
export const useTopReputation = () =>
  useQuery({ queryKey: ['reputation'], queryFn: get<Reputations>('/reputation?top=10') })
/** Whether this node serves the page on which browsers are lent; outside of the API, for strangers may ask too. */
export const useVolunteers = () =>
  useQuery({
    queryKey: ['volunteers'],
    queryFn: async ({ signal }) => (await fetch('./volunteer/network', { signal })).status === 200,
    staleTime: Number.POSITIVE_INFINITY
  })
/** What is known at once, until the search has its answer. */
export function useServices() {
  const found = useQuery({
    queryKey: ['services'],
    queryFn: get<Services>('/services'),
    refetchInterval: SLOW_MS
  })
  const isLooking = found.data == null && found.error == null
  const known = useQuery({
    queryKey: ['services', 'known'],
    queryFn: get<Services>('/services?find=false'),
    enabled: isLooking
  })
  return { query: isLooking ? known : found, isLooking }
}

export const useJob = (job: string) =>
  useQuery({
    queryKey: ['job', job],
    queryFn: get<JobReport>(`/tasks/${part(job)}`),
    // the shares of the workers come with the report only
    refetchInterval: ({ state }) => (state.data != null && state.data.finished == null ? QUICK_MS : false)
  })
export const useSlices = (job: string, isRunning: boolean) =>
  useQuery({
    queryKey: ['slices', job],
    queryFn: get<Slices>(`/tasks/${part(job)}/slices`),
    refetchInterval: isRunning ? QUICK_MS : false
  })
export const useSpec = (job: string) =>
  useQuery({
    queryKey: ['spec', job],
    queryFn: get<TaskSpec | TaskSpec[]>(`/tasks/${part(job)}/spec`),
    staleTime: Number.POSITIVE_INFINITY
  })
export const useReceipts = (job: string, isWanted: boolean) =>
  useQuery({
    queryKey: ['receipts', job],
    queryFn: get<ReceiptRows>(`/tasks/${part(job)}/receipts`),
    enabled: isWanted
  })
export const useResult = (job: string, isThere: boolean) =>
  useQuery({
    queryKey: ['result', job],
    // in a box: undefined is no answer for a query, and null is a result
    queryFn: async ({ signal }) => ({
      value: await call<unknown>(`/tasks/${part(job)}/result`, { signal })
    }),
    enabled: isThere,
    staleTime: Number.POSITIVE_INFINITY
  })
