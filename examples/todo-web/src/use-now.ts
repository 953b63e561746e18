import { useEffect, useState } from 'react'

/** The time, in milliseconds since 1970, renewed every `everyMs`: for texts like "2 min ago". */
export function useNow(everyMs: number): number {
  const [nowMs, setNowMs] = useState(() => Date.now())
  useEffect(() => {
    const timer = setInterval(() => setNowMs(Date.now()), everyMs)
    return () => clearInterval(timer)
  }, [everyMs])
  return nowMs
}
