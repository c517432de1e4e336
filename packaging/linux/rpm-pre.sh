# The user must exist before the config file, which its group reads.
make_user
