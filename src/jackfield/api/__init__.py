"""The HTTP face of the control side: requests in, use cases called, shapes and problems out.

One file per noun. It decides nothing and stores nothing; everything a route does is one use case of
`jackfield.service` in one transaction.
"""
