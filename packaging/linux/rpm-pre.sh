# The user has to be there before the config file that its group reads.
make_user
