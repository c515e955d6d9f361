package dial_test

func poor() {}
