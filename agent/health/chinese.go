package health

// chinese has what and hint in Chinese, by the codes of english.
var chinese = map[string]words{}
