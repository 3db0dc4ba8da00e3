import { QueryClientProvider } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { createLive, type Live, LiveContext } from './api/live.ts'
import { createQueries, follow } from './api/queries.ts'
import { useToken } from './api/token.ts'
import { TokenPage } from './pages/token.tsx'
import { Shell } from './shell.tsx'

export function App() {
  const token = useToken()
  return token == null ? <TokenPage /> : <Connected key={token} token={token} />
}

/** Everything below belongs to one token: another one begins anew. */
function Connected({ token }: { token: string }) {
  const [queries] = useState(createQueries)
  const [live, setLive] = useState<Live>()
  useEffect(() => {
    const made = createLive(token)
    const end = follow(made, queries)
    setLive(made)
    return () => {
      end()
      made.close()
    }
  }, [token, queries])
  if (live == null) return null
  return (
    <QueryClientProvider client={queries}>
      <LiveContext value={live}>
        <Shell />
      </LiveContext>
    </QueryClientProvider>
  )
}
