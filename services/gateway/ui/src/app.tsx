import { Text } from '@mantine/core'
import { QueryClientProvider, useQueryClient } from '@tanstack/react-query'
import { type ReactNode, useEffect, useState } from 'react'
import { UnreachableError } from './api/client.ts'
import { createLive, type Live, LiveContext } from './api/live.ts'
import { MeContext, may } from './api/me.ts'
import { createQueries, follow, useMeQuery } from './api/queries.ts'
import { useInvitation, useToken } from './api/token.ts'
import { useTexts } from './i18n/i18n.tsx'
import { InvitedPage } from './pages/invited.tsx'
import { TokenPage } from './pages/token.tsx'
import { Loading, Problem } from './parts/page.tsx'
import { EntryCard } from './people/sign-in.tsx'

/** Asks who comes, and shows `children` to whoever the node knows. */
export function App({ children }: { children: ReactNode }) {
  const token = useToken()
  const invitation = useInvitation()
  if (invitation != null) return <InvitedPage key={invitation} code={invitation} />
  return token == null ? (
    <TokenPage />
  ) : (
    <Connected key={token} token={token}>
      {children}
    </Connected>
  )
}

/** Everything below belongs to one token or session: another one begins anew. */
function Connected({ token, children }: { token: string; children: ReactNode }) {
  const [queries] = useState(createQueries)
  return (
    <QueryClientProvider client={queries}>
      <Known token={token}>{children}</Known>
    </QueryClientProvider>
  )
}

function Known({ token, children }: { token: string; children: ReactNode }) {
  const { t } = useTexts()
  const { data: me, error, refetch } = useMeQuery()
  // while it is asked again there is none
  const [problem, setProblem] = useState<Error>()
  useEffect(() => {
    if (error != null) setProblem(error)
  }, [error])
  const [live, setLive] = useState<Live>()
  const queries = useQueryClient()
  // a visitor hears his home, and who may use a service hears that
  const isReader = me == null ? undefined : may(me, 'read') || me.scopes.some(scope => scope.includes(':'))
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
  if (me == null && problem != null)
    return (
      <EntryCard>
        <Problem error={problem} retry={() => void refetch()} />
        {problem instanceof UnreachableError && <Text size="sm">{t('connection.again')}</Text>}
      </EntryCard>
    )
  if (me == null || live == null) return <Loading />
  return (
    <MeContext value={me}>
      <LiveContext value={live}>{children}</LiveContext>
    </MeContext>
  )
}
