"""Does what the generator shows carry over to the motion of real micro-expressions?"""
