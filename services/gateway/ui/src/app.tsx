import { QueryClientProvider, useQueryClient } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { createLive, type Live, LiveContext } from './api/live.ts'
import { MeContext, may } from './api/me.ts'
import { createQueries, follow, useMeQuery } from './api/queries.ts'
import { useInvitation, useToken } from './api/token.ts'
import { InvitedPage } from './pages/invited.tsx'
import { TokenPage } from './pages/token.tsx'
import { Loading, Problem } from './parts/page.tsx'
import { Shell } from './shell.tsx'

export function App() {
  const token = useToken()
  const invitation = useInvitation()
  if (invitation != null) return <InvitedPage key={invitation} code={invitation} />
  return token == null ? <TokenPage /> : <Connected key={token} token={token} />
}

/** Everything below belongs to one token or session: another one begins anew. */
function Connected({ token }: { token: string }) {
  const [queries] = useState(createQueries)
  return (
    <QueryClientProvider client={queries}>
      <Known token={token} />
    </QueryClientProvider>
  )
}

function Known({ token }: { token: string }) {
  const { data: me, error, refetch } = useMeQuery()
  const [live, setLive] = useState<Live>()
  const queries = useQueryClient()
  const isReader = me == null ? undefined : may(me, 'read')
  useEffect(() => {
    if (isReader == null) return
    const made = createLive(token, isReader)
    const end = follow(made, queries)
    setLive(made)
    return () => {
      end()
      made.close()
    }
  }, [token, isReader, queries])
  if (me == null && error != null) return <Problem error={error} retry={() => void refetch()} />
  if (me == null || live == null) return <Loading />
  return (
    <MeContext value={me}>
      <LiveContext value={live}>
        <Shell />
      </LiveContext>
    </MeContext>
  )
}
