/** Something to wait for that others open, or that opens by itself after a while. */
export class Gate {
  /** Settles once it is open. */
  readonly opened: Promise<void>
  /** Opens it; more than once does no harm. */
  readonly open: () => void

  constructor(limitMs: number) {
    let timer: NodeJS.Timeout | undefined
    let settle: () => void = () => {}
    this.opened = new Promise((resolve) => {
      settle = resolve
      timer = setTimeout(resolve, limitMs)
    })
    this.open = () => {
      clearTimeout(timer)
      settle()
    }
  }
}
