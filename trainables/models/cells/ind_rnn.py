"""``ind_rnn``: units that hear only themselves (Li et al. 2018): h_t = relu(W x_t + u h_{t-1} + b).

u is a vector, held within \\|u\\| <= 2^(1/T), so that a state at most doubles in T steps.
"""
