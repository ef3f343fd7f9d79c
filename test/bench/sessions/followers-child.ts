import { serve } from '../support/child.ts'
import { Followers, type FollowersQuestion } from './followers.ts'

/** The clients, in a process of their own. */
export type FollowersCommand =
  | ({ readonly do: 'open' } & FollowersQuestion)
  | { readonly do: 'end' }
  | { readonly do: 'hear'; readonly headers: number; readonly scripts: number; readonly limitMs: number }

const followers = new Followers()

serve(
  (question) => {
    const command = question as FollowersCommand
    switch (command.do) {
      case 'open':
        return followers.open(command)
      case 'hear':
        return followers.hear(command.headers, command.scripts, command.limitMs)
      case 'end':
      default:
        followers.end()
        return Promise.resolve()
    }
  },
  () => {
    followers.end()
    return Promise.resolve()
  },
)
